//! The languages of the link page, one file each, and which of them a reader would rather have.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderMap};
use serde::Deserialize;

use crate::domain::link_phase::LinkPhase;

/// A language the page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Arabic,
    Spanish,
    Portuguese,
}

/// What the page says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) title: String,
    pub(super) lead: String,
    pub(super) noscript: String,
    pub(super) steps: [String; 3],
    pub(super) steps_label: String,
    pub(super) seconds_left: String,
    pub(super) qr_alt: String,
    pub(super) how_title: String,
    pub(super) how_android: String,
    pub(super) how_iphone: String,
    pub(super) how_point: String,
    pub(super) code_open: String,
    pub(super) code_title: String,
    pub(super) code_text: String,
    pub(super) code_number: String,
    pub(super) code_hint: String,
    pub(super) code_get: String,
    pub(super) code_back: String,
    pub(super) code_result: String,
    pub(super) code_how: String,
    pub(super) code_left: String,
    pub(super) code_over: String,
    pub(super) code_wrong_number: String,
    pub(super) code_too_often: String,
    pub(super) code_failed: String,
    pub(super) offline: String,
    pub(super) number: String,
    #[serde(rename = "continue")]
    pub(super) go_on: String,
    pub(super) close: String,
    pub(super) sandbox_phone: String,
    pub(super) sandbox_phone_text: String,
    phases: HashMap<LinkPhase, Sentence>,
}

/// What a phase is called, what it means, and what the button of it says if there is one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sentence {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) action: Option<String>,
}

static WORDS: LazyLock<[Words; 4]> = LazyLock::new(|| {
    Language::ALL.map(|language| toml::from_str(language.source()).expect("a test reads each of these files"))
});

impl Language {
    const ALL: [Self; 4] = [Self::English, Self::Arabic, Self::Spanish, Self::Portuguese];

    const fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("en.toml"),
            Self::Arabic => include_str!("ar.toml"),
            Self::Spanish => include_str!("es.toml"),
            Self::Portuguese => include_str!("pt.toml"),
        }
    }

    /// As `lang` names it (BCP 47).
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Arabic => "ar",
            Self::Spanish => "es",
            Self::Portuguese => "pt",
        }
    }

    /// Which way it is written.
    pub(super) const fn direction(self) -> &'static str {
        match self {
            Self::Arabic => "rtl",
            Self::English | Self::Spanish | Self::Portuguese => "ltr",
        }
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::English => &WORDS[0],
            Self::Arabic => &WORDS[1],
            Self::Spanish => &WORDS[2],
            Self::Portuguese => &WORDS[3],
        }
    }

    /// The one a reader would rather have (RFC 9110, 12.5.4); English where they read none of these.
    pub(super) fn chosen_by(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT_LANGUAGE).filter_map(|line| line.to_str().ok());
        let mut best = (Self::English, 0.0);
        for range in lines.flat_map(|line| line.split(',')).take(32) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok());
            let primary = tag.split('-').next().unwrap_or_default();
            let found = Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()));
            if let (Some(found), Some(quality)) = (found, quality.filter(|quality| (0.0..=1.0).contains(quality)))
                && quality > best.1
            {
                best = (found, quality);
            }
        }
        best.0
    }
}

impl Words {
    /// What is said of a phase.
    pub(super) fn of(&self, phase: LinkPhase) -> &Sentence {
        self.phases.get(&phase).expect("a test finds every phase in every language")
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn every_language_has_every_key_and_says_something_of_every_phase() {
        for language in Language::ALL {
            // A key that is missing or unknown does not get this far.
            let words: Words = toml::from_str(language.source()).unwrap();
            assert_eq!(words.phases.len(), LinkPhase::ALL.len());
            for phase in LinkPhase::ALL {
                let sentence = words.of(*phase);
                assert!(!sentence.title.is_empty() && !sentence.text.is_empty(), "{language:?} {phase}");
                assert_eq!(sentence.action.is_some(), phase.offers_code(), "{language:?} {phase}");
            }
            for (text, place) in
                [(&words.seconds_left, "{seconds}"), (&words.code_left, "{seconds}"), (&words.number, "{number}")]
            {
                assert!(text.contains(place), "{language:?}: {text}");
            }
        }
    }

    #[test]
    fn recovering_never_says_that_something_failed() {
        let said = &Language::English.words().of(LinkPhase::Recovering);
        assert!(said.title.contains("wait") && !format!("{} {}", said.title, said.text).contains("fail"));
    }

    #[test]
    fn the_language_is_the_one_its_reader_prefers() {
        for (accepted, chosen) in [
            ("", Language::English),
            ("de-DE, fr;q=0.9", Language::English),
            ("pt-BR,pt;q=0.9,en;q=0.8", Language::Portuguese),
            ("en;q=0.3, ar-EG;q=0.7, es;q=0.5", Language::Arabic),
            ("es;q=0, ar;q=0.1", Language::Arabic),
            ("ES-419", Language::Spanish),
            ("es;q=x, *;q=1", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(accepted).unwrap());
            assert_eq!(Language::chosen_by(&headers), chosen, "{accepted:?}");
        }
    }
}
