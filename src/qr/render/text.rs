//! Terminal text: two modules a character.

use crate::qr::Matrix;

/// Draws `matrix` with half blocks, a line for two rows of modules, each ended by a newline.
///
/// Light modules are drawn and dark ones left blank, because most terminals are dark; the quiet zone is drawn too. On
/// a light terminal the picture is inverted, which phones read as well.
pub fn text(matrix: &Matrix) -> String {
    let side = matrix.outer_width();
    let mut text = String::with_capacity((side * 3 + 1) * side.div_ceil(2));
    for y in (0..side).step_by(2) {
        for x in 0..side {
            let below_is_light = y + 1 < side && !matrix.is_dark(x, y + 1);
            text.push(match (!matrix.is_dark(x, y), below_is_light) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        text.push('\n');
    }
    text
}
