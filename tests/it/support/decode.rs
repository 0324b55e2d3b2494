//! What a phone's camera would read: renditions decoded back to their value, each by a reader of its own.

/// A PNG, read by `rqrr` and by `rxing` (a port of ZXing), which must agree.
pub(crate) fn png(bytes: &[u8]) -> String {
    let image = image::load_from_memory(bytes).expect("it is an image").to_luma8();
    luma(&image)
}

fn luma(image: &image::GrayImage) -> String {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let pixels = image.as_raw();
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    let grids = prepared.detect_grids();
    assert_eq!(grids.len(), 1, "rqrr finds one code");
    let (_, by_rqrr) = grids[0].decode().expect("rqrr reads it");
    let mut hints = rxing::DecodeHints { TryHarder: Some(true), ..Default::default() };
    let by_zxing = rxing::helpers::detect_in_luma_with_hints(
        image.as_raw().clone(),
        image.width(),
        image.height(),
        Some(rxing::BarcodeFormat::QR_CODE),
        &mut hints,
    )
    .expect("rxing reads it");
    assert_eq!(by_rqrr, by_zxing.getText());
    by_rqrr
}

/// Whether a picture of a code is black on white, whatever is around it: the quiet zone is white on all four sides, what
/// is dark is black, and nothing has a colour. Readers take other colours too; cameras of phones not always.
pub(crate) fn is_black_on_white(bytes: &[u8]) -> bool {
    let image = image::load_from_memory(bytes).expect("it is an image").to_rgb8();
    let (width, height) = image.dimensions();
    // The quiet zone is four modules of at least 29 wide; the outermost pixels may be a rounded corner.
    let (x, y) = (width / 30, height / 30);
    let is_white = |x: u32, y: u32| image.get_pixel(x, y).0.iter().all(|channel| *channel > 250);
    let is_framed = (x..width - x).all(|at| is_white(at, y) && is_white(at, height - 1 - y))
        && (y..height - y).all(|at| is_white(x, at) && is_white(width - 1 - x, at));
    let inside = || (x..width - x).flat_map(|x| (y..height - y).map(move |y| (x, y)));
    let is_grey = inside().all(|(x, y)| {
        let [red, green, blue] = image.get_pixel(x, y).0;
        red.abs_diff(green) < 8 && green.abs_diff(blue) < 8
    });
    let dark = inside().filter(|(x, y)| image.get_pixel(*x, *y).0[0] < 5).count();
    is_framed && is_grey && dark > inside().count() / 8
}

/// Modules, dark where `true`, as an image of 4 pixels a module.
fn modules(rows: &[Vec<bool>]) -> String {
    const SCALE: u32 = 4;
    let side = u32::try_from(rows.len()).expect("it is small");
    let image = image::GrayImage::from_fn(side * SCALE, side * SCALE, |x, y| {
        let dark = rows[(y / SCALE) as usize].get((x / SCALE) as usize).copied().unwrap_or(false);
        image::Luma([if dark { 0 } else { 255 }])
    });
    luma(&image)
}

/// Terminal text, two modules a character: blocks are light.
pub(crate) fn text(text: &str) -> String {
    let mut rows = Vec::new();
    for line in text.lines() {
        rows.push(line.chars().map(|c| matches!(c, ' ' | '▄')).collect());
        rows.push(line.chars().map(|c| matches!(c, ' ' | '▀')).collect::<Vec<bool>>());
    }
    // An odd number of rows leaves half a line over, which is no part of the picture.
    rows.truncate(rows[0].len());
    modules(&rows)
}

/// An SVG whose last path holds a rectangle `M{x} {y}h{width}v1h-{width}z` for each run of dark modules.
pub(crate) fn svg(svg: &str) -> String {
    let side: usize = between(svg, "viewBox=\"0 0 ", " ").parse().expect("the view box has a width");
    let mut rows = vec![vec![false; side]; side];
    for run in between(svg, "fill=\"#000\" d=\"", "\"").split('M').skip(1) {
        let (x, rest) = run.split_once(' ').expect("an x");
        let (y, rest) = rest.split_once('h').expect("a y");
        let (width, _) = rest.split_once('v').expect("a width");
        let [x, y, width] = [x, y, width].map(|number| number.parse::<usize>().expect("a number"));
        rows[y][x..x + width].fill(true);
    }
    modules(&rows)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text.find(before).expect("it begins") + before.len();
    let length = text[start..].find(after).expect("it ends");
    &text[start..start + length]
}
