//! Tests of the search index from outside: it and the plain matcher must answer alike.

mod differential;
mod documents;
mod draw;
mod filters;
mod model;
