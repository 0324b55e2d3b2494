//! PNG: one bit a pixel, greyscale.

use std::ops::RangeInclusive;

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use crate::qr::Matrix;

/// Pixels a module may have on a side.
pub const SCALES: RangeInclusive<u8> = 4..=16;

/// Pixels a module has unless asked otherwise: one byte of a row.
pub const DEFAULT_SCALE: u8 = 8;

/// Draws `matrix` with `scale` pixels a module.
///
/// All rows of a module but the first equal the one above, so the filter `Up` turns them to zeros, which the fast
/// compression packs best of all choices measured (`benches/gateway.rs` reports time and size).
pub fn png(matrix: &Matrix, scale: u8) -> Vec<u8> {
    let scale = usize::from(scale);
    let side = matrix.outer_width() * scale;
    let row_length = side.div_ceil(8);
    let mut pixels = Vec::with_capacity(row_length * side);
    for y in 0..matrix.outer_width() {
        let row = row(matrix, y, scale, row_length);
        for _ in 0..scale {
            pixels.extend_from_slice(&row);
        }
    }
    let mut bytes = Vec::with_capacity(6 * 1024);
    let side = u32::try_from(side).expect("a code has at most 185 modules of at most 255 pixels");
    let mut encoder = Encoder::new(&mut bytes, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Up);
    encoder
        .write_header()
        .and_then(|mut writer| {
            writer.write_image_data(&pixels)?;
            writer.finish()
        })
        .expect("writing to memory does not fail and the buffer has the size of the picture");
    bytes
}

/// One row of pixels: set bits are white. Bits past the side stay white and are not shown.
fn row(matrix: &Matrix, y: usize, scale: usize, length: usize) -> Vec<u8> {
    let mut row = vec![0xff; length];
    for x in (0..matrix.outer_width()).filter(|x| matrix.is_dark(*x, y)) {
        if scale == 8 {
            row[x] = 0;
        } else {
            for pixel in x * scale..(x + 1) * scale {
                row[pixel / 8] &= !(0x80 >> (pixel % 8));
            }
        }
    }
    row
}
