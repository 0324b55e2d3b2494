//! Drawing a code: value → matrix → PNG, SVG or terminal text. Pure; whoever wants a code drawn once keeps the bytes.
//!
//! The usual way of the `qrcode` and `image` crates takes 1.9 ms and 8.9 kB for one WhatsApp code. 1.7 ms of that is a
//! search for the best mix of segments, which base64 text never profits from: [`Matrix`] pushes one byte segment.
//! [`render::png`] writes one bit a pixel, so that at the default scale a module is one byte of a row.

mod matrix;
pub mod render;

pub use matrix::{Matrix, TooLong};

/// What a phone's camera app opens WhatsApp with: WhatsApp's own prefix before the value.
pub const CAMERA_PREFIX: &str = "https://wa.me/settings/linked_devices#";

/// Light modules around the code, on every side (ISO/IEC 18004 asks for four).
pub const QUIET_ZONE: usize = 4;
