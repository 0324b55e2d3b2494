//! Whatever stands in an error, each rendering is read again by a parser that knows nothing of ours.

use proptest::prelude::*;
use roxmltree::{Document, ParsingOptions};
use serde_json::{Value, json};

use super::*;

fn problems(text: &str) -> ApiError {
    ApiError::Parameters(vec![
        ParameterProblem { name: "wait", problem: text.to_owned(), missing: false },
        ParameterProblem { name: "scale", problem: "is missing".to_owned(), missing: true },
    ])
}

fn written(rendering: Rendering, error: &ApiError) -> String {
    String::from_utf8(rendering.write(&ErrorBody::new(error, "req-1"))).unwrap()
}

fn parsed(markup: &str) -> Document<'_> {
    Document::parse_with_options(markup, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() })
        .unwrap_or_else(|error| panic!("{error}: {markup}"))
}

/// What XML can hold of a text.
fn holdable(text: &str) -> String {
    let unfit = |c: char| (c.is_control() && !"\t\n\r".contains(c)) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.replace(unfit, "\u{fffd}")
}

fn mismatch() -> ApiError {
    ApiError::SessionStatus(StatusMismatch {
        code: "session_status_mismatch",
        instance_id: InstanceId::parse("7K2M9QX4T0AB").unwrap(),
        status: Status::Starting,
        expected: &[Status::ScanQrCode, Status::Working],
        recovering: true,
        retry_after: Some(10),
    })
}

#[test]
fn the_contracts_sample_is_one_value_in_every_rendering() {
    let error = mismatch();
    let body: Value = serde_json::from_str(&written(Rendering::Json, &error)).unwrap();
    let message = body["message"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&written(Rendering::Problem, &error)).unwrap(),
        json!({
            "type": "/docs#session_status_mismatch", "status": 422, "title": "Unprocessable Entity",
            "code": "session_status_mismatch", "detail": message, "instance": "#req-1", "request_id": "req-1",
            "instance_id": "7K2M9QX4T0AB", "session_status": "STARTING", "expected": ["SCAN_QR_CODE", "WORKING"],
            "recovering": true, "retry_after": 10,
        })
    );
    assert_eq!(
        written(Rendering::Xml, &error),
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response><status>422</status>\
             <error>Unprocessable Entity</error><code>session_status_mismatch</code><message>{message}</message>\
             <request_id>req-1</request_id><instance_id>7K2M9QX4T0AB</instance_id>\
             <session_status>STARTING</session_status><expected>SCAN_QR_CODE</expected><expected>WORKING</expected>\
             <recovering>true</recovering><retry_after>10</retry_after></response>\n"
        )
    );
    assert_eq!(written(Rendering::TextXml, &error), written(Rendering::Xml, &error));
    assert_eq!(
        written(Rendering::Text, &error),
        format!(
            "422 Unprocessable Entity\n{message}\n\ncode: session_status_mismatch\nrequest_id: req-1\n\
             instance_id: 7K2M9QX4T0AB\nsession_status: STARTING\nexpected: SCAN_QR_CODE, WORKING\n\
             recovering: true\nretry_after: 10\n"
        )
    );
    let page = written(Rendering::Html, &error);
    let page = parsed(&page);
    let texts = |tag: &str| -> Vec<String> {
        let found = page.descendants().filter(|node| node.has_tag_name(tag));
        found.map(|node| node.text().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(texts("h1"), ["422 Unprocessable Entity"]);
    assert_eq!(texts("p"), [message]);
    assert_eq!(texts("dt").len(), 7, "all that JSON has but for what stands above");
    assert_eq!(texts("dd")[4], "SCAN_QR_CODE, WORKING");
}

#[test]
fn what_an_error_says_is_text_in_every_rendering() {
    let hostile = "</p><script>alert('1')</script>\"&amp;\0\u{b}\u{1b}[2J\u{fffe}\r\nX: y";
    let error = problems(hostile);
    for rendering in [Rendering::Html, Rendering::Xml] {
        let text = written(rendering, &error);
        assert!(!text.contains("<script") && text.contains("&lt;script"), "{text}");
        assert!(!text.contains(['\0', '\u{b}', '\u{1b}', '\u{fffe}']), "{text}");
    }
    assert_eq!(written(Rendering::Text, &error).lines().count(), 6);
}

proptest! {
    #[test]
    fn every_rendering_is_read_again_with_the_text_it_was_made_of(text in "[\\x00-\\x7f]{0,20}\\PC{0,20}(?s:.){0,20}") {
        let error = problems(&text);
        for rendering in [Rendering::Json, Rendering::Problem] {
            let read: Value = serde_json::from_str(&written(rendering, &error)).unwrap();
            prop_assert_eq!(read["parameters"][0]["problem"].as_str().unwrap(), &text);
        }
        let xml = written(Rendering::Xml, &error);
        let document = parsed(&xml);
        let problem = document.descendants().find(|node| node.has_tag_name("problem")).unwrap();
        prop_assert_eq!(problem.text().unwrap_or_default(), holdable(&text));
        let page = written(Rendering::Html, &error);
        let document = parsed(&page);
        let message = document.descendants().find(|node| node.has_tag_name("p")).unwrap();
        prop_assert_eq!(message.text().unwrap(), holdable(&error.to_string()));
        prop_assert_eq!(written(Rendering::Text, &error).lines().count(), 6);
    }
}
