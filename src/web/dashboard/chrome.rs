//! What surrounds every page of somebody who is signed in.

use crate::api::account;
use crate::api::error::ApiError;
use crate::api::extract::Call;

/// The pages one can go to from everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Instances,
    Webhooks,
    Keys,
    Audit,
    Usage,
}

impl Place {
    const ALL: [Self; 5] = [Self::Instances, Self::Webhooks, Self::Keys, Self::Audit, Self::Usage];

    const fn href(self) -> &'static str {
        match self {
            Self::Instances => "/dashboard",
            Self::Webhooks => "/dashboard/webhooks",
            Self::Keys => "/dashboard/keys",
            Self::Audit => "/dashboard/audit",
            Self::Usage => "/dashboard/usage",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Instances => "Instances",
            Self::Webhooks => "Webhooks",
            Self::Keys => "Keys",
            Self::Audit => "Audit",
            Self::Usage => "Usage",
        }
    }
}

/// A place in the navigation.
pub(super) struct Item {
    pub(super) href: &'static str,
    pub(super) name: &'static str,
    pub(super) is_current: bool,
}

/// The frame of a page.
pub(super) struct Chrome {
    pub(super) account: String,
    place: Place,
}

impl Chrome {
    /// Around a page of the caller's.
    pub(super) async fn around(call: &Call, place: Place) -> Result<Self, ApiError> {
        Ok(Self { account: account::settings::name(call).await?, place })
    }

    /// The navigation.
    pub(super) fn items(&self) -> Vec<Item> {
        let item = |place: Place| Item { href: place.href(), name: place.name(), is_current: place == self.place };
        Place::ALL.into_iter().map(item).collect()
    }
}
