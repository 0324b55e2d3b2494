//! Every picture is read back by somebody else's decoder, to exactly the value.

use proptest::prelude::*;

use super::{SCALES, png, svg, text};
use crate::qr::{CAMERA_PREFIX, Matrix};

/// A picture of one byte a pixel: 0 black, 255 white.
struct Grey {
    side: usize,
    pixels: Vec<u8>,
}

impl Grey {
    fn from_png(bytes: &[u8]) -> Self {
        let mut decoder = ::png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(::png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        assert_eq!(reader.info().bit_depth, ::png::BitDepth::One);
        assert_eq!(reader.info().color_type, ::png::ColorType::Grayscale);
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width, info.height);
        pixels.truncate(info.buffer_size());
        Self { side: info.width as usize, pixels }
    }

    /// Modules drawn at four pixels each.
    fn from_modules(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> Self {
        let pixel = |at: usize| if is_dark(at % (side * 4) / 4, at / (side * 4) / 4) { 0 } else { 255 };
        Self { side: side * 4, pixels: (0..side * side * 16).map(pixel).collect() }
    }

    /// Fills the rectangles of the SVG's second path, reading it as a renderer would.
    fn from_svg(svg: &str) -> Self {
        let side: usize = between(svg, "viewBox=\"0 0 ", " ").parse().unwrap();
        let mut dark = vec![false; side * side];
        let path = between(svg, "fill=\"#000\" d=\"", "\"");
        for run in path.split('M').skip(1) {
            let (x, rest) = run.split_once(' ').unwrap();
            let (y, rest) = rest.split_once('h').unwrap();
            let (width, rest) = rest.split_once("v1h-").unwrap();
            assert_eq!(rest, format!("{width}z"), "the path closes its rectangle");
            let (x, y, width): (usize, usize, usize) = (x.parse().unwrap(), y.parse().unwrap(), width.parse().unwrap());
            dark[y * side + x..y * side + x + width].fill(true);
        }
        Self::from_modules(side, |x, y| dark[y * side + x])
    }

    fn from_text(text: &str) -> Self {
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        let side = lines[0].len();
        Self::from_modules(side, |x, y| match (lines[y / 2][x], y % 2) {
            ('█', _) | ('▀', 0) | ('▄', 1) => false,
            (' ' | '▀' | '▄', _) => true,
            (other, _) => panic!("a foreign character {other:?}"),
        })
    }

    fn rqrr(&self) -> String {
        let mut image =
            rqrr::PreparedImage::prepare_from_greyscale(self.side, self.side, |x, y| self.pixels[y * self.side + x]);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "one code in the picture");
        grids[0].decode().unwrap().1
    }

    fn zxing(&self) -> String {
        let side = u32::try_from(self.side).unwrap();
        let hints = &mut rxing::DecodeHints { TryHarder: Some(true), ..Default::default() };
        rxing::helpers::detect_in_luma_with_hints(
            self.pixels.clone(),
            side,
            side,
            Some(rxing::BarcodeFormat::QR_CODE),
            hints,
        )
        .unwrap()
        .getText()
        .to_owned()
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let text = &text[text.find(start).unwrap() + start.len()..];
    &text[..text.find(end).unwrap()]
}

/// Values as WhatsApp gives them: a reference, three keys of 32 bytes in base64, the client type; with or without the
/// camera's prefix.
fn values() -> impl Strategy<Value = String> {
    let reference = "2@[A-Za-z0-9+/]{43,66}={0,2}";
    let key = "[A-Za-z0-9+/]{43}=";
    (reference, key, key, key, 0..20_u8, any::<bool>()).prop_map(
        |(reference, noise, identity, secret, kind, camera)| {
            let prefix = if camera { CAMERA_PREFIX } else { "" };
            format!("{prefix}{reference},{noise},{identity},{secret},{kind}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_picture_decodes_to_exactly_the_value(value in values(), scale in SCALES) {
        let matrix = Matrix::encode(&value).unwrap();
        let pictures = [
            Grey::from_png(&png(&matrix, scale)),
            Grey::from_svg(&svg(&matrix)),
            Grey::from_text(&text(&matrix)),
        ];
        for picture in pictures {
            prop_assert_eq!(picture.rqrr(), value.as_str());
            prop_assert_eq!(picture.zxing(), value.as_str());
        }
    }

    #[test]
    fn a_png_has_scale_pixels_a_module_and_four_light_modules_on_every_side(value in values(), scale in SCALES) {
        let matrix = Matrix::encode(&value).unwrap();
        let picture = Grey::from_png(&png(&matrix, scale));
        let scale = usize::from(scale);
        prop_assert_eq!(picture.side, (matrix.width() + 8) * scale);
        let dark = |x: usize, y: usize| picture.pixels[y * picture.side + x] == 0;
        for (y, row) in matrix.rows().enumerate() {
            for (x, module) in row.iter().enumerate() {
                prop_assert_eq!(dark((x + 4) * scale, (y + 4) * scale), *module);
                prop_assert_eq!(dark((x + 5) * scale - 1, (y + 5) * scale - 1), *module);
            }
        }
        let margin = 4 * scale;
        for y in 0..picture.side {
            for x in (0..margin).chain(picture.side - margin..picture.side) {
                prop_assert!(!dark(x, y) && !dark(y, x));
            }
        }
    }
}

#[test]
fn a_whatsapp_code_at_the_default_scale_is_below_the_size_promised() {
    let value = format!("2@{},{k},{k},{k},1", "Ab3/".repeat(12), k = format!("{}=", "xY9+".repeat(10) + "abc"));
    let bytes = png(&Matrix::encode(&value).unwrap(), super::DEFAULT_SCALE);
    // 6 kB of body: base64 and the 33 bytes around it.
    assert!(bytes.len().div_ceil(3) * 4 + 33 < 6_000, "{} bytes of PNG", bytes.len());
}
