//! The world outside: servers that an account names, be it for webhooks or for files to send.

pub mod target;
