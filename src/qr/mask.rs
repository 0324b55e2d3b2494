//! Choosing a code's mask (ISO/IEC 18004, 7.8): the pattern under which it looks least like something else.
//!
//! `qrcode` judges the eight candidates a module at a time, which takes 1.6 ms for a WhatsApp code, nine tenths of drawing
//! it. Here a row is one `u64`, and every rule is a few shifts. A code wider than 64 modules is left to `qrcode`.

use qrcode::Color;
use qrcode::canvas::{Canvas, MaskPattern};

const PATTERNS: [MaskPattern; 8] = [
    MaskPattern::Checkerboard,
    MaskPattern::HorizontalLines,
    MaskPattern::VerticalLines,
    MaskPattern::DiagonalLines,
    MaskPattern::LargeCheckerboard,
    MaskPattern::Fields,
    MaskPattern::Diamonds,
    MaskPattern::Meadow,
];

/// The canvas under its best mask, as modules row by row.
pub(super) fn best(canvas: &Canvas, width: usize) -> Vec<Color> {
    if width > 64 {
        return canvas.apply_best_mask().into_colors();
    }
    let masked = PATTERNS.map(|pattern| {
        let mut candidate = canvas.clone();
        candidate.apply_mask(pattern);
        candidate.into_colors()
    });
    masked.into_iter().min_by_key(|colors| penalty(colors, width)).expect("there are eight patterns")
}

/// The sum of the four rules: long runs, blocks, what looks like a finder pattern, and imbalance.
fn penalty(colors: &[Color], width: usize) -> u32 {
    let mut rows = [0_u64; 64];
    let mut columns = [0_u64; 64];
    for (y, row) in colors.chunks_exact(width).enumerate() {
        for (x, color) in row.iter().enumerate() {
            let dark = u64::from(*color == Color::Dark);
            rows[y] |= dark << x;
            columns[x] |= dark << y;
        }
    }
    let (rows, columns) = (&rows[..width], &columns[..width]);
    let lines = rows.iter().chain(columns).map(|line| runs(*line, width) + finders(*line, width)).sum::<u32>();
    let blocks = rows.windows(2).map(|pair| blocks(pair[0], pair[1], width)).sum::<u32>();
    lines + blocks + imbalance(rows, width)
}

/// Bit `i` is set where the modules `i` and `i + 1` are alike.
fn alike(line: u64, width: usize) -> u64 {
    !(line ^ (line >> 1)) & ones(width - 1)
}

/// A run of five modules or more costs its length less two.
fn runs(line: u64, width: usize) -> u32 {
    let alike = alike(line, width);
    let five = alike & (alike >> 1) & (alike >> 2) & (alike >> 3);
    let starts = five & !(five << 1);
    five.count_ones() + 2 * starts.count_ones()
}

/// A square of four alike modules costs three.
fn blocks(upper: u64, lower: u64, width: usize) -> u32 {
    3 * (alike(upper, width) & alike(lower, width) & !(upper ^ lower)).count_ones()
}

/// `#.###.#` with four light modules before or after it costs 40.
fn finders(line: u64, width: usize) -> u32 {
    let found = |pattern: u64| {
        let starts = (0..11).fold(ones(width - 10), |starts, at| {
            let line = if pattern >> at & 1 == 1 { line } else { !line };
            starts & (line >> at)
        });
        starts.count_ones()
    };
    40 * (found(0b000_0101_1101) + found(0b101_1101_0000))
}

/// Each 5 % by which the dark modules are away from half of all costs ten.
fn imbalance(rows: &[u64], width: usize) -> u32 {
    let dark: u32 = rows.iter().map(|row| row.count_ones()).sum();
    let all = u32::try_from(width * width).expect("at most 64 modules on a side");
    (2 * dark).abs_diff(all) * 10 / all * 10
}

/// The lowest `count` bits.
fn ones(count: usize) -> u64 {
    u64::MAX >> (64 - count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rules a module at a time, as the standard words them.
    fn plainly(dark: &[Vec<bool>]) -> u32 {
        let width = dark.len();
        let at = |x: usize, y: usize, turned: bool| if turned { dark[x][y] } else { dark[y][x] };
        let mut penalty = 0;
        for turned in [false, true] {
            for y in 0..width {
                let line: Vec<bool> = (0..width).map(|x| at(x, y, turned)).collect();
                for run in line.chunk_by(|a, b| a == b).filter(|run| run.len() >= 5) {
                    penalty += u32::try_from(run.len()).unwrap() - 2;
                }
                let finder = [true, false, true, true, true, false, true];
                let (before, after) = ([&[false; 4][..], &finder].concat(), [&finder[..], &[false; 4]].concat());
                for window in line.windows(11) {
                    penalty += 40 * (u32::from(window == before) + u32::from(window == after));
                }
            }
        }
        for y in 1..width {
            for x in 1..width {
                let square = [dark[y][x], dark[y - 1][x], dark[y][x - 1], dark[y - 1][x - 1]];
                penalty += 3 * u32::from(square.iter().all(|module| *module == square[0]));
            }
        }
        let count = dark.iter().flatten().filter(|dark| **dark).count();
        let percent_off = (200 * count).abs_diff(100 * width * width) / (2 * width * width);
        penalty + u32::try_from(percent_off / 5 * 10).unwrap()
    }

    proptest! {
        #[test]
        fn the_shifts_count_what_the_standard_words(width in 21..=64_usize, seed: u64, density in 1..8_u64) {
            let mut state = seed | 1;
            let mut draw = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % 8 < density
            };
            let dark: Vec<Vec<bool>> = (0..width).map(|_| (0..width).map(|_| draw()).collect()).collect();
            let colors: Vec<Color> =
                dark.iter().flatten().map(|dark| if *dark { Color::Dark } else { Color::Light }).collect();
            prop_assert_eq!(penalty(&colors, width), plainly(&dark));
        }
    }
}
