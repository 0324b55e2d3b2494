//! The operator's routes, on a listener of their own: accounts and their quotas, and the nodes.

pub mod accounts;
pub mod create;
pub mod delete;
pub mod nodes;
