//! Linking a device.

mod body;
mod code;
pub mod qr;
pub mod qr_image;
mod rounds;

pub(super) use rounds::Rounds;
