//! Drawing a code: value → matrix → PNG, SVG or terminal text. Pure; whoever wants a code drawn once keeps the bytes.
//!
//! The usual way of the `qrcode` and `image` crates takes 1.9 ms and 8.9 kB for one WhatsApp code. 1.6 ms of that is the
//! choice of the mask, which `mask.rs` makes with a few shifts a row; base64 text needs no search for segments either.
//! [`render::png`] writes one bit a pixel, so that at the default scale a module is one byte of a row.

mod mask;
mod matrix;
pub mod render;

pub use matrix::{Matrix, TooLong};

/// What a phone's camera app opens WhatsApp with: WhatsApp's own prefix before the value.
pub const CAMERA_PREFIX: &str = "https://wa.me/settings/linked_devices#";

/// Light modules around the code, on every side (ISO/IEC 18004 asks for four).
pub const QUIET_ZONE: usize = 4;
