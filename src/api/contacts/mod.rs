//! `/v2/contacts/*`: people and groups that an instance has to do with.

pub mod erase;
