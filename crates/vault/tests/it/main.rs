//! The vault from outside: over the memory engine, with faults, and with the real data where it is there.

mod bundles;
mod crash;
mod disclosure;
mod histories;
mod house;
mod imports;
mod lifecycle;
mod real_data;
mod records;
