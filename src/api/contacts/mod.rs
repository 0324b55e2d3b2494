//! `/v2/contacts`: one file per operation.

pub mod check;
pub mod profile_picture;
