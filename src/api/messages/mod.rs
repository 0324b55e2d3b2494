//! Messages that were sent: what became of them, and what can still be done with them.

pub mod delete;
pub mod edit;
pub mod retry;
pub mod show;
