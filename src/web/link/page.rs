//! `/link/{token}`

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LANGUAGE, VARY};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::link::{self, Opened};
use crate::domain::link_phase::LinkPhase;
use crate::domain::origin::Origin;
use crate::web::language::{Language, Sentence, Words};
use crate::web::page;

#[derive(Template)]
#[template(path = "link/page.html", config = ".askama.toml")]
struct Page {
    language: Language,
    words: &'static Words,
    panels: Vec<Panel>,
    phase: LinkPhase,
    number: Option<String>,
    return_url: Option<String>,
    /// Whom the page tells how it goes on, if they frame it.
    parents: String,
    offers_sandbox_phone: bool,
}

/// What is said of one phase.
struct Panel {
    phase: LinkPhase,
    sentence: &'static Sentence,
    is_current: bool,
}

/// The page as it stands at this moment. What opens nothing has a page too: its reader can do something about it.
pub(super) async fn page(request: HttpRequest, call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let language = Language::chosen_by(request.headers());
    let opened = match call {
        Ok(call) => link::open(&call).await,
        Err(error) => Err(error),
    };
    match opened {
        Ok(opened) => drawn(language, StatusCode::OK, opened),
        Err(ApiError::Unauthorized | ApiError::SessionNotFound) => drawn(language, StatusCode::NOT_FOUND, ended()),
        Err(error) => Err(error),
    }
}

/// What is known of a link that opens nothing.
fn ended() -> Opened {
    Opened {
        phase: LinkPhase::Expired,
        number: None,
        return_url: None,
        origins: Vec::new(),
        offers_sandbox_phone: false,
    }
}

fn drawn(language: Language, status: StatusCode, opened: Opened) -> Result<HttpResponse, ApiError> {
    let words = language.words();
    let panel =
        |phase: &LinkPhase| Panel { phase: *phase, sentence: words.of(*phase), is_current: *phase == opened.phase };
    let origins: Vec<&str> = opened.origins.iter().map(Origin::as_str).collect();
    let text = Page {
        language,
        words,
        panels: LinkPhase::ALL.iter().map(panel).collect(),
        phase: opened.phase,
        number: opened.number,
        return_url: opened.return_url,
        parents: origins.join(" "),
        offers_sandbox_phone: opened.offers_sandbox_phone,
    };
    let text = text.render().map_err(|error| ApiError::Internal(error.into()))?;
    let mut answer = page::answer_framed_by(&origins, status, text);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_LANGUAGE, language.tag().parse().expect("a tag is visible ASCII"));
    headers.insert(VARY, "Accept-Language".parse().expect("a name is visible ASCII"));
    Ok(answer)
}

impl Page {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates hand over references")]
    fn is_step(&self, step: &usize) -> bool {
        usize::from(self.phase.step()) == *step
    }

    fn number_text(&self) -> String {
        // Isolated (UAX 9, 2.4): between Arabic words the parts of a masked number would change places.
        let number = self.number.as_deref().unwrap_or_default();
        self.words.number.replace("{number}", &format!("\u{2066}{number}\u{2069}"))
    }
}
