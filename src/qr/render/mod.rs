//! The three pictures of a code, each black on white with its quiet zone.

mod png;
mod svg;
mod text;

pub use png::{DEFAULT_SCALE, SCALES, png};
pub use svg::svg;
pub use text::text;

#[cfg(test)]
mod tests;
