//! A line of `Accept`, then any text in an error: every rendering is read again by a parser that knows nothing of ours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roxmltree::{Document, ParsingOptions};
use wagate::api::error::{ApiError, ErrorBody, ParameterProblem, Rendering};
use wagate::api::extract::Accept;

fuzz_target!(|data: &str| {
    let (accept, text) = data.split_once('\n').unwrap_or(("", data));
    let chosen = Rendering::chosen_by(&Accept::parse(accept));
    let problem = ParameterProblem { name: "wait", problem: text.to_owned(), missing: false };
    let error = ApiError::Parameters(vec![problem]);
    let body = ErrorBody::new(&error, "id");
    for (_, rendering) in Rendering::FORMS.into_iter().chain([("", chosen)]) {
        let written = String::from_utf8(rendering.write(&body)).expect("a rendering is text");
        match rendering {
            Rendering::Json | Rendering::Problem => {
                let read: serde_json::Value = serde_json::from_str(&written).expect("it is JSON");
                assert_eq!(read["parameters"][0]["problem"], text);
            }
            Rendering::Xml | Rendering::TextXml => element(&written, "problem", text),
            Rendering::Html => element(&written, "p", &error.to_string()),
            Rendering::Text => assert_eq!(written.lines().count(), 6, "{written}"),
        }
    }
});

/// The element's text is `expected`, but for what XML cannot hold.
fn element(markup: &str, tag: &str, expected: &str) {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(markup, options).expect("it is XML");
    let mut found = document.descendants().filter(|node| node.has_tag_name(tag));
    let text = found.next().expect("the element is there").text().unwrap_or_default();
    let unfit = |c: char| (c.is_control() && !"\t\n\r".contains(c)) || matches!(c, '\u{fffe}' | '\u{ffff}');
    assert_eq!(text, expected.replace(unfit, "\u{fffd}"));
    assert!(found.next().is_none(), "{markup}");
}
