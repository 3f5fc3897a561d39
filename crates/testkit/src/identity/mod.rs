//! Who the patients are: names, places, the national identity number, and the person drawn from them.

pub(crate) mod names;
pub(crate) mod nir;
pub(crate) mod person;
pub(crate) mod places;
