//! The life of an instance's connection: its states, what moves them, and what everybody else may see of it.

pub mod status;
pub mod view;

pub use status::{Desired, Reason, Status};
pub use view::{Liveness, SessionView};
