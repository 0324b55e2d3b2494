//! SVG: one path over a white square, a unit a module.

use std::fmt::Write as _;

use crate::qr::Matrix;

/// Draws `matrix` as a document of its own; it scales to whatever box it is put in.
pub fn svg(matrix: &Matrix) -> String {
    let side = matrix.outer_width();
    let mut svg = String::with_capacity(16 * 1024);
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path fill="#000" d=""##
    );
    for y in 0..side {
        let mut x = 0;
        while x < side {
            let run = (x..side).take_while(|x| matrix.is_dark(*x, y)).count();
            if run > 0 {
                let _ = write!(svg, "M{x} {y}h{run}v1h-{run}z");
            }
            x += run.max(1);
        }
    }
    svg.push_str(r#""/></svg>"#);
    svg
}
