//! The life of an instance's connection: its states, what moves them, and what everybody else may see of it.
//!
//! [`step()`] is the whole of the decisions, as a pure function; [`crate::supervisor`] performs what it asks.

pub mod backoff;
pub mod effect;
pub mod event;
mod linking;
pub mod notice;
pub mod rules;
pub mod state;
pub mod status;
mod step;
mod told;
pub mod view;

pub use effect::{Effect, LogoutEnd};
pub use event::{Event, RunEvent};
pub use rules::Rules;
pub use state::{Failure, Logout, Phase, Saved, State};
pub use status::{Desired, Reason, Status};
pub use step::step;
pub use view::{Liveness, SessionView};

#[cfg(test)]
mod step_properties;
#[cfg(test)]
mod step_tests;
