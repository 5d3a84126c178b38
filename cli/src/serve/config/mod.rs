//! What a server is told before it starts: its make-up as data, in one file and by flags.

mod check;
mod file;
mod hub;
mod load;
mod sections;
mod tables;
mod units;
mod values;

pub(crate) use load::{Environment, Loaded};
pub(crate) use sections::{Config, Http, Listen};
pub(crate) use units::{Pace, Time};
pub(crate) use values::{Csrf, LogFormat, Secret};
