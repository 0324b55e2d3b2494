//! The modules of a code, without its quiet zone.

use qrcode::bits::Bits;
use qrcode::canvas::Canvas;
use qrcode::ec::construct_codewords;
use qrcode::{Color, EcLevel, Version};

use super::mask;

/// Error correction M: 15 % of a code may be lost. What WhatsApp's own client shows.
const LEVEL: EcLevel = EcLevel::M;

/// A square of dark and light modules.
#[derive(Clone, PartialEq, Eq)]
pub struct Matrix {
    width: usize,
    dark: Vec<bool>,
}

/// The text does not fit the largest code (2,331 bytes at level M).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes do not fit a QR code")]
pub struct TooLong {
    /// Bytes of the text.
    pub length: usize,
}

impl Matrix {
    /// Encodes `text` as one byte segment in the smallest version that holds it.
    pub fn encode(text: &str) -> Result<Self, TooLong> {
        let too_long = || TooLong { length: text.len() };
        let mut bits = (1..=40).map(Version::Normal).find_map(|version| fitting(text, version)).ok_or_else(too_long)?;
        bits.push_byte_data(text.as_bytes()).map_err(|_| too_long())?;
        bits.push_terminator(LEVEL).map_err(|_| too_long())?;
        let version = bits.version();
        let (data, correction) = construct_codewords(&bits.into_bytes(), version, LEVEL).map_err(|_| too_long())?;
        let mut canvas = Canvas::new(version, LEVEL);
        canvas.draw_all_functional_patterns();
        canvas.draw_data(&data, &correction);
        let width = usize::from(version.width().unsigned_abs());
        Ok(Self { width, dark: mask::best(&canvas, width).into_iter().map(|color| color == Color::Dark).collect() })
    }

    /// Modules on a side, without the quiet zone.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The modules row by row: `width` slices of `width`, `true` for dark.
    pub fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.dark.chunks_exact(self.width)
    }

    /// Whether a module is dark. Coordinates count from the quiet zone's outer corner; everything outside the code is
    /// light.
    pub(super) fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(super::QUIET_ZONE).filter(|at| *at < self.width);
        matches!((inside(x), inside(y)), (Some(x), Some(y)) if self.dark[y * self.width + x])
    }

    /// Modules on a side, with the quiet zone.
    pub(super) fn outer_width(&self) -> usize {
        self.width + 2 * super::QUIET_ZONE
    }
}

/// An empty bit stream of `version` if one byte segment of `text` fits it: 4 bits of mode, 8 or 16 of length, the bytes.
fn fitting(text: &str, version: Version) -> Option<Bits> {
    let length_bits = if matches!(version, Version::Normal(1..=9)) { 8 } else { 16 };
    let bits = Bits::new(version);
    let capacity = bits.max_len(LEVEL).ok()?;
    (4 + length_bits + 8 * text.len() <= capacity).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_gets_the_smallest_version_and_the_largest_is_the_standards() {
        let version_of = |length: usize| Matrix::encode(&"a".repeat(length)).map(|matrix| (matrix.width() - 17) / 4);
        // ISO/IEC 18004, table 7, byte mode at level M.
        for (capacity, version) in [(14, 1), (26, 2), (180, 9), (213, 10), (2331, 40)] {
            assert_eq!(version_of(capacity), Ok(version), "{capacity} bytes");
        }
        for (past, version) in [(15, 2), (181, 10), (214, 11)] {
            assert_eq!(version_of(past), Ok(version), "{past} bytes");
        }
        assert_eq!(version_of(2332), Err(TooLong { length: 2332 }));
    }
}
