//! `/v2/groups`: one file per operation; a group is named in the path, by its chat id.

pub mod add_participants;
pub mod create;
mod document;
pub mod invite_code;
pub mod leave;
pub mod list;
mod participants;
pub mod remove_participants;
pub mod revoke_invite_code;
pub mod show;
