//! Linking a device.

mod body;
mod code;
pub mod passkey;
pub mod qr;
pub mod qr_image;
pub mod request_code;
mod rounds;

pub(super) use code::retry_after;
pub(super) use rounds::Rounds;
