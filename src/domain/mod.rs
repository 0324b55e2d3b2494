//! The words of the field and the decisions made in them. Nothing here does IO, reads a clock or draws a random number.

pub mod account;
pub mod chat_id;
pub mod clock;
pub mod contact;
pub mod event;
pub mod group;
pub mod instance;
pub mod lease;
pub mod link_code;
pub mod link_phase;
pub mod media_reference;
pub mod message_id;
pub mod network;
pub mod origin;
pub mod outgoing;
pub mod outgoing_file;
pub mod passkey;
pub mod payload;
pub mod phone_number;
pub mod profile;
pub mod qr_code;
pub mod receipt;
pub mod session;
pub mod token;
pub mod user_agent;
pub mod webhook;
mod words;
