//! What a page begins with.

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::domain::link_phase::{LinkPhase, Visit};
use crate::domain::origin::Origin;
use crate::store::{account_origin, link};

/// A link that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Where the linking stands.
    pub phase: LinkPhase,
    /// The linked number, its middle left out.
    pub number: Option<String>,
    /// Where the page leads once a phone is linked.
    pub return_url: Option<String>,
    /// Whose pages may frame this one and are told how it goes on.
    pub origins: Vec<Origin>,
    /// Whether a phone of the sandbox can be had.
    pub offers_sandbox_phone: bool,
}

/// Opens a link. [`ApiError::Unauthorized`] if it opens no page, whatever the reason; once it has linked a phone it
/// tells that and nothing more, until its token ends.
pub async fn open(call: &Call) -> Result<Opened, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance_to_tell(target).await?;
    let mut conn = call.state.store.acquire().await?;
    let standing = link::standing(&mut conn, id, call.caller.token_id).await?.ok_or(ApiError::Unauthorized)?;
    let origins = account_origin::of(&mut conn, call.caller.account_id).await?;
    drop(conn);
    if standing.is_closed && !standing.is_spent {
        return Err(ApiError::Unauthorized);
    }
    let view = call.state.sessions.view(id).await?;
    let visit = Visit { shows: false, spent: standing.is_spent };
    Ok(Opened {
        phase: LinkPhase::of(&view, visit, call.state.clock.now()),
        number: view.me.filter(|_| view.linked).map(|me| me.masked_number()),
        return_url: standing.return_url.filter(|address| is_of(address, &origins)),
        origins,
        offers_sandbox_phone: offers_sandbox_phone(call),
    })
}

/// Whether an address is still of an origin that the account lists: to any other nobody is led.
pub(super) fn is_of(address: &str, origins: &[Origin]) -> bool {
    url::Url::parse(address).ok().and_then(|url| Origin::of(&url)).is_some_and(|origin| origins.contains(&origin))
}

#[cfg(feature = "sandbox")]
fn offers_sandbox_phone(call: &Call) -> bool {
    call.state.sandbox.is_some()
}

#[cfg(not(feature = "sandbox"))]
fn offers_sandbox_phone(_: &Call) -> bool {
    false
}
