//! Linking a device.

mod body;
mod code;
pub mod passkey;
pub mod qr;
pub mod qr_image;
pub mod request_code;
mod rounds;

pub(super) use body::small_data_uri;
#[cfg(feature = "sandbox")]
pub(super) use code::refusal;
pub(super) use code::{note_shown, retry_after};
pub(super) use rounds::Rounds;
