//! What is told of an account, to itself and to the operator; and how its name and settings are read.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::{Bound, Read};
use crate::api::respond::time;
use crate::domain::account::AccountId;
use crate::domain::origin::Origin;
use crate::store::account::{self, Account, InUse};
use crate::store::account_origin;

const MAX_NAME: usize = 100;
const MAX_ORIGINS: usize = 50;

/// The largest number of instances a quota may name.
const MAX_INSTANCES: u32 = 1_000_000;

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(in crate::api) struct Document {
    #[schema(value_type = Uuid)]
    account_id: AccountId,
    #[schema(example = "Example Shops")]
    name: String,
    settings: Settings,
    quota: Quota,
    #[serde(rename = "use")]
    in_use: Use,
    #[serde(serialize_with = "time")]
    created_at: DateTime<Utc>,
}

/// What the account has chosen.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountSettings)]
struct Settings {
    /// Whether tokens in queries and bodies are refused.
    require_header_auth: bool,
    /// Whether start, stop and restart answer to GET.
    allow_get_control: bool,
    /// Web origins whose pages may call, and to which hosted pages may lead back.
    #[schema(example = json!(["https://app.example.com"]))]
    allowed_origins: Vec<String>,
}

/// What the operator grants; `null` is no bound.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountQuota)]
struct Quota {
    #[schema(required = true, example = 50)]
    max_instances: Option<u32>,
}

/// How much of it is used.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountUse)]
struct Use {
    #[schema(example = 7)]
    instances: u64,
}

impl Document {
    /// Reads an account that is not deleted.
    pub(in crate::api) async fn of(conn: &mut PgConnection, id: AccountId) -> Result<Option<Self>, ApiError> {
        match account::page(conn, Some(id), None, 1).await?.pop() {
            Some(found) => Ok(Some(Self::with_origins(conn, found).await?)),
            None => Ok(None),
        }
    }

    /// The document of an account that was just read.
    pub(in crate::api) async fn with_origins(conn: &mut PgConnection, found: InUse) -> Result<Self, ApiError> {
        let origins = account_origin::of(conn, found.account.id).await?;
        Ok(Self {
            account_id: found.account.id,
            name: found.account.name,
            settings: Settings {
                require_header_auth: found.account.require_header_auth,
                allow_get_control: found.account.allow_get_control,
                allowed_origins: origins.iter().map(ToString::to_string).collect(),
            },
            quota: Quota { max_instances: found.account.max_instances },
            in_use: Use { instances: found.instances },
            created_at: found.created_at,
        })
    }
}

/// What is to be changed of an account; `None` stays as it is.
#[derive(Debug, Default)]
pub(in crate::api) struct Changes {
    name: Option<String>,
    require_header_auth: Option<bool>,
    allow_get_control: Option<bool>,
    allowed_origins: Option<Vec<Origin>>,
    max_instances: Option<Bound>,
}

impl Changes {
    /// Reads what the account itself may set.
    pub(in crate::api) fn of_account(read: &mut Read<'_>) -> Self {
        Self {
            name: read.text("name", MAX_NAME).map(ToOwned::to_owned),
            require_header_auth: read.boolean("require_header_auth"),
            allow_get_control: read.boolean("allow_get_control"),
            allowed_origins: read.origins("allowed_origins", MAX_ORIGINS),
            max_instances: None,
        }
    }

    /// Reads what the operator may set besides.
    pub(in crate::api) fn of_operator(read: &mut Read<'_>) -> Self {
        let max_instances = read.bound("max_instances", 0..=MAX_INSTANCES);
        Self { max_instances, ..Self::of_account(read) }
    }

    /// Changes an account that is locked.
    pub(in crate::api) fn apply(&self, account: &mut Account) {
        if let Some(name) = &self.name {
            account.name.clone_from(name);
        }
        account.require_header_auth = self.require_header_auth.unwrap_or(account.require_header_auth);
        account.allow_get_control = self.allow_get_control.unwrap_or(account.allow_get_control);
        match self.max_instances {
            Some(Bound::Unlimited) => account.max_instances = None,
            Some(Bound::AtMost(max)) => account.max_instances = Some(max),
            None => {}
        }
    }

    /// Writes the changes of an account that is locked.
    pub(in crate::api) async fn write(&self, conn: &mut PgConnection, mut account: Account) -> Result<(), ApiError> {
        self.apply(&mut account);
        account::update(conn, &account).await?;
        self.write_origins(conn, account.id).await
    }

    /// Writes the origins, if they were given.
    pub(in crate::api) async fn write_origins(&self, conn: &mut PgConnection, id: AccountId) -> Result<(), ApiError> {
        if let Some(origins) = &self.allowed_origins {
            account_origin::replace(conn, id, origins).await?;
        }
        Ok(())
    }

    /// The names of what is changed, for the audit log.
    pub(in crate::api) fn names(&self) -> Vec<&'static str> {
        let given = [
            ("name", self.name.is_some()),
            ("require_header_auth", self.require_header_auth.is_some()),
            ("allow_get_control", self.allow_get_control.is_some()),
            ("allowed_origins", self.allowed_origins.is_some()),
            ("max_instances", self.max_instances.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}
