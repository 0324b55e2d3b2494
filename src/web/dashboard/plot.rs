//! Bars by day and by hour, drawn as SVG. The numbers stand in a table beside it, so the picture itself is nobody's only
//! way to them.

use std::fmt::Write as _;

use askama::filters::HtmlSafe;

/// The drawing's size, in units of its own; it scales to the page.
const WIDTH: i64 = 640;
const HEIGHT: i64 = 200;
/// Room for the days' names below and the highest number above.
const BELOW: i64 = 24;
const ABOVE: i64 = 18;
/// Where bars stand.
const FLOOR: i64 = HEIGHT - BELOW;

/// A day's numbers, by the series.
pub(super) struct Bar {
    /// What stands below it.
    pub(super) label: String,
    /// One number a series.
    pub(super) values: Vec<i64>,
}

/// A drawing; it is made of numbers and of dates.
pub(super) struct Svg(String);

impl std::fmt::Display for Svg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Svg {}

/// Draws the bars of each day side by side; `alternative` says what they show.
pub(super) fn draw(bars: &[Bar], alternative: &'static str) -> Svg {
    let highest = bars.iter().flat_map(|bar| &bar.values).copied().max().unwrap_or(0).max(1);
    let days = i64::try_from(bars.len()).unwrap_or(1).max(1);
    let slot = WIDTH / days;
    let mut svg = begin(alternative);
    for (day, bar) in (0..).zip(bars) {
        let series = i64::try_from(bar.values.len()).unwrap_or(1).max(1);
        let width = (slot - slot / 3) / series;
        for (place, value) in (0..).zip(&bar.values) {
            let height = value * (FLOOR - ABOVE) / highest;
            let (x, y) = (day * slot + slot / 6 + place * width, FLOOR - height);
            let kind = if place == 0 { "bars" } else { "bars second" };
            // Writing to a string cannot fail.
            let _ = write!(svg, r#"<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="2"/>"#);
        }
        let (middle, base) = (day * slot + slot / 2, HEIGHT - 6);
        let _ = write!(svg, r#"<text x="{middle}" y="{base}" text-anchor="middle">{}</text>"#, bar.label);
    }
    end(svg, highest)
}

fn begin(alternative: &'static str) -> String {
    format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{alternative}"><path class="axis" d="M0 {FLOOR}h{WIDTH}"/>"#
    )
}

fn end(mut svg: String, highest: i64) -> Svg {
    let _ = write!(svg, r#"<text x="0" y="12">{highest}</text></svg>"#);
    Svg(svg)
}

/// Draws a pile for each hour, series on series; `None` is an hour of which nothing is known. A label stands below the hours
/// that have one.
pub(super) fn pile<const SERIES: usize>(
    hours: &[(Option<String>, Option<[i64; SERIES]>)],
    kinds: [&'static str; SERIES],
    alternative: &'static str,
) -> Svg {
    let highest =
        hours.iter().filter_map(|(_, pile)| pile.as_ref()).map(|pile| pile.iter().sum()).max().unwrap_or(0).max(1);
    let mut svg = begin(alternative);
    let count = i64::try_from(hours.len()).unwrap_or(1).max(1);
    for (hour, (label, pile)) in (0..).zip(hours) {
        let (left, right) = (hour * WIDTH / count, (hour + 1) * WIDTH / count);
        let mut below = 0;
        for (value, kind) in pile.iter().flatten().zip(kinds).filter(|(value, _)| **value > 0) {
            let height = |pile: i64| pile * (FLOOR - ABOVE) / highest;
            let (y, height) = (FLOOR - height(below + value), height(below + value) - height(below));
            let width = right - left;
            let _ = write!(svg, r#"<rect class="pile {kind}" x="{left}" y="{y}" width="{width}" height="{height}"/>"#);
            below += value;
        }
        if let Some(label) = label {
            let base = HEIGHT - 6;
            let _ = write!(svg, r#"<text x="{left}" y="{base}">{label}</text>"#);
        }
    }
    end(svg, highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_bar_reaches_the_top_and_nothing_leaves_the_drawing() {
        let bar = |label: &str, values: &[i64]| Bar { label: label.into(), values: values.to_vec() };
        let svg = draw(&[bar("11-23", &[0, 5]), bar("11-24", &[10, 2])], "messages by day").to_string();
        let heights: Vec<i64> =
            svg.split("height=\"").skip(1).filter_map(|rest| rest.split('"').next()?.parse().ok()).collect();
        assert_eq!(heights, [0, 79, 158, 31]);
        let document = roxmltree::Document::parse(&svg).unwrap();
        assert_eq!(document.root_element().attribute("aria-label"), Some("messages by day"));
    }

    #[test]
    fn a_pile_stands_on_the_floor_and_an_unknown_hour_is_empty() {
        let hours = [(Some("11-23".to_owned()), Some([1, 3])), (None, None), (None, Some([0, 2]))];
        let svg = pile(&hours, ["working", "failed"], "states").to_string();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let number = |node: &roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse::<i64>().unwrap();
        let drawn: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("rect"))
            .map(|node| {
                (
                    node.attribute("class").unwrap().to_owned(),
                    number(&node, "x"),
                    number(&node, "y"),
                    number(&node, "height"),
                )
            })
            .collect();
        let expected = [("pile working", 0, 137, 39), ("pile failed", 0, 18, 119), ("pile failed", 426, 97, 79)];
        assert_eq!(drawn, expected.map(|(class, x, y, height)| (class.to_owned(), x, y, height)));
    }

    #[test]
    fn without_days_it_is_an_empty_drawing() {
        assert!(draw(&[], "nothing").to_string().ends_with("</svg>"));
        assert!(pile(&[], ["nothing"], "nothing").to_string().ends_with("</svg>"));
    }
}
