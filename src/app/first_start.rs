//! The first start on an empty database: an operator key, an account and its key. They are shown once.

use chrono::{DateTime, Utc};
use rand::CryptoRng;
use secrecy::SecretString;
use uuid::Uuid;

use crate::domain::account::AccountId;
use crate::domain::token::{Token, TokenKind};
use crate::store::account::{self, Account};
use crate::store::token::{self, Holder};
use crate::store::{Store, StoreError};

/// What a first start made.
#[derive(Debug)]
pub struct FirstStart {
    /// Accounts, quotas, node view; on the operator listener only.
    pub operator_key: SecretString,
    /// Everything on the first account's instances.
    pub account_key: SecretString,
}

impl FirstStart {
    /// Makes the keys if the database has no account yet. Of two nodes that start at once, one makes them.
    pub(super) async fn of(
        store: &Store,
        now: DateTime<Utc>,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Self>, StoreError> {
        let mut transaction = store.begin().await?;
        if !account::lock_if_none(&mut transaction).await? {
            return Ok(None);
        }
        let owner = Account {
            id: AccountId(Uuid::now_v7()),
            name: "default".to_owned(),
            require_header_auth: false,
            allow_get_control: false,
            max_instances: None,
        };
        account::insert(&mut transaction, &owner, now).await?;
        let mut make = async |kind, holder| {
            let made = Token::generate(kind, rng);
            token::insert(&mut transaction, Uuid::now_v7(), &made, holder, &[], now, None).await?;
            Ok::<_, StoreError>(SecretString::from(made.expose()))
        };
        let operator_key = make(TokenKind::Operator, Holder::Operator).await?;
        let account_key = make(TokenKind::Account, Holder::Account(owner.id)).await?;
        transaction.commit().await.map_err(StoreError::while_("keep the keys of the first start"))?;
        Ok(Some(Self { operator_key, account_key }))
    }
}
