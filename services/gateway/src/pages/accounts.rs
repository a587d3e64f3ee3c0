//! Accounts: the list, and one account with all that is known about it.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::{
    api::{
        Page,
        dunning::{
            ContactView, GetStanding, HoldView, ListContacts, ListHolds, ListPlans, ListPromises,
            PlanView, PromiseTab, PromiseView, Standing,
        },
        reporting::{
            AccountView, AgedRow, Bucket, GetAgedDebt, GetLedger, GetTimeline, LedgerLine,
            ListAccounts, TimelineEntry,
        },
    },
    dunning::{HoldState, PlanState},
};
use kernel::{AccountId, Money};
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde::Deserialize;

use super::{
    PageProblem, Section, Shell, Visit,
    show::{Named as _, Uk as _, Words as _},
};
use crate::{
    App,
    api::{Path, accounts::find, controls::person, encoded, page_request, search},
    problem::Problem,
    routes,
};

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    search: Option<String>,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    shell: Shell,
    search: String,
    accounts: Vec<AccountView>,
    next: Option<String>,
    first: Option<String>,
}

/// `GET /accounts`
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<ListQuery>,
) -> Result<Response, PageProblem> {
    let text = search(query.search).unwrap_or_default();
    let first = query.cursor.is_some();
    let page = app
        .bus
        .ask(&ListAccounts {
            search: search(Some(text.clone())),
            page: page_request(query.cursor, None),
        })
        .await
        .map_err(visit.give_up())?;
    let here = format!("/accounts?search={}", encoded(&text));
    let page = AccountsPage {
        shell: visit.shell(Section::Accounts, "Accounts"),
        accounts: page.items,
        next: page
            .next_cursor
            .map(|cursor| format!("{here}&cursor={}", encoded(&cursor))),
        first: first.then_some(here),
        search: text,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

#[derive(Deserialize)]
pub(crate) struct AccountQuery {
    /// `all` shows what is settled, too.
    #[serde(default)]
    ledger: String,
    ledger_cursor: Option<String>,
    timeline_cursor: Option<String>,
}

/// A band of the ageing bar.
struct Band {
    title: String,
    amount: Money,
    /// Start and width in thousandths of the bar.
    at: i64,
    width: i64,
}

/// What one currency of the account looks like by age.
struct Ageing {
    bands: Vec<Band>,
    total: Money,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    shell: Shell,
    account: AccountView,
    ageing: Vec<Ageing>,
    ledger: Vec<LedgerLine>,
    all: bool,
    ledger_next: Option<String>,
    timeline: Vec<TimelineEntry>,
    timeline_next: Option<String>,
    /// Nothing while dunning does not answer: the rest of the page is shown.
    standing: Option<Standing>,
    agreed: Agreed,
    /// The last few; none while dunning does not answer.
    contacts: Vec<ContactView>,
    may_chase: bool,
}

/// What is agreed with the account or holds it, as far as dunning answers.
#[derive(Default)]
struct Agreed {
    holds: Vec<HoldView>,
    promises: Vec<PromiseView>,
    plans: Vec<PlanView>,
}

impl Agreed {
    fn is_empty(&self) -> bool {
        self.holds.is_empty() && self.promises.is_empty() && self.plans.is_empty()
    }

    async fn of(app: &App, visit: &Visit, account_id: AccountId) -> Self {
        let page = || page_request(None, None);
        let holds = ListHolds {
            account_id: Some(account_id),
            state: Some(HoldState::Active),
            person: person(&visit.caller),
            page: page(),
        };
        let plans = ListPlans {
            account_id: Some(account_id),
            state: Some(PlanState::Active),
            page: page(),
        };
        let promises = |tab| ListPromises {
            tab: Some(tab),
            account_id: Some(account_id),
            page: page(),
        };
        let (due, upcoming) = (
            promises(PromiseTab::DueToday),
            promises(PromiseTab::Upcoming),
        );
        let (holds, plans, due, upcoming) = tokio::join!(
            app.bus.ask(&holds),
            app.bus.ask(&plans),
            app.bus.ask(&due),
            app.bus.ask(&upcoming),
        );
        let mut open = due.map_or_else(|_| Vec::new(), |page| page.items);
        open.extend(upcoming.into_iter().flat_map(|page| page.items));
        Self {
            holds: holds.map_or_else(|_| Vec::new(), |page| page.items),
            plans: plans.map_or_else(|_| Vec::new(), |page| page.items),
            promises: open,
        }
    }
}

/// `GET /accounts/{id}`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(query): Query<AccountQuery>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, id, query)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn assemble(
    app: &App,
    visit: &Visit,
    id: String,
    query: AccountQuery,
) -> Result<AccountPage, Problem> {
    let account = find(app, id).await?;
    let account_id = account.account_id;
    let all = query.ledger == "all";
    let ledger = GetLedger {
        account_id,
        open_only: !all,
        page: page_request(query.ledger_cursor, None),
    };
    let timeline = GetTimeline {
        account_id,
        page: page_request(query.timeline_cursor, None),
    };
    let aged = GetAgedDebt {
        search: Some(account.account_ref.clone()),
        page: page_request(None, Some(contracts::api::PageRequest::MAX)),
        ..GetAgedDebt::default()
    };
    let standing = GetStanding { account_id };
    let contacts = ListContacts {
        account_id,
        contact_id: None,
        person: person(&visit.caller),
        page: page_request(None, Some(5)),
    };
    let (found, standing, agreed, contacts) = tokio::join!(
        async {
            tokio::try_join!(
                app.bus.ask(&ledger),
                app.bus.ask(&timeline),
                app.bus.ask(&aged)
            )
        },
        app.bus.ask(&standing),
        Agreed::of(app, visit, account_id),
        app.bus.ask(&contacts)
    );
    let (ledger, timeline, aged) = found?;
    let here = format!(
        "/accounts/{account_id}?ledger={}",
        if all { "all" } else { "open" }
    );
    let more = |page: Option<String>, name: &str| {
        page.map(|cursor| format!("{here}&{name}={}", encoded(&cursor)))
    };
    let Page {
        items: lines,
        next_cursor: ledger_next,
    } = ledger;
    let Page {
        items: entries,
        next_cursor: timeline_next,
    } = timeline;
    Ok(AccountPage {
        standing: standing.ok(),
        agreed,
        contacts: contacts.map(|page| page.items).unwrap_or_default(),
        may_chase: routes::CHASE.allows(&visit.caller.roles),
        shell: visit.shell(
            Section::Accounts,
            format!("{} {}", account.account_ref, account.name),
        ),
        ageing: aged
            .rows
            .items
            .iter()
            .filter(|row| row.account_id == account_id)
            .map(|row| ageing(&aged.buckets, row))
            .collect(),
        account,
        ledger: lines,
        all,
        ledger_next: more(ledger_next, "ledger_cursor"),
        timeline: entries,
        timeline_next: more(timeline_next, "timeline_cursor"),
    })
}

/// Shares of what is owed; credits have no width.
fn ageing(buckets: &[Bucket], row: &AgedRow) -> Ageing {
    let positive = |money: &Money| money.amount().max(Decimal::ZERO);
    let whole: Decimal = row.buckets.iter().map(positive).sum();
    let share = |amount: Decimal| -> i64 {
        let thousandths = (amount * Decimal::ONE_THOUSAND).checked_div(whole);
        thousandths
            .and_then(|share| share.round().to_i64())
            .unwrap_or(0)
    };
    let mut until = Decimal::ZERO;
    let bands = buckets
        .iter()
        .zip(&row.buckets)
        .map(|(bucket, amount)| {
            let at = share(until);
            until += positive(amount);
            Band {
                title: bucket.title.clone(),
                amount: *amount,
                at,
                width: share(until) - at,
            }
        })
        .collect();
    Ageing {
        bands,
        total: row.total,
    }
}

#[cfg(test)]
mod tests {
    use kernel::{AccountId, Currency};

    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    #[test]
    fn the_ageing_bar_is_filled_exactly_and_credits_take_no_room() {
        let titles = ["Not due", "1–30", "31–60", "61–90"];
        let buckets = titles.map(|title| Bucket {
            title: title.into(),
            from_days: None,
            to_days: None,
        });
        let row = AgedRow {
            account_id: AccountId::generate(),
            account_ref: "ACME01".into(),
            name: "Acme".into(),
            segment: None,
            currency: Currency::GBP,
            buckets: vec![gbp("1"), gbp("-50"), gbp("1"), gbp("1")],
            total: gbp("-47"),
            overdue: gbp("-48"),
            unallocated: gbp("0"),
            oldest_days: None,
        };
        let bands = ageing(&buckets, &row).bands;
        assert_eq!(bands.iter().map(|band| band.width).sum::<i64>(), 1000);
        assert_eq!(bands[1].width, 0);
        assert_eq!((bands[2].at, bands[3].at), (333, 667));

        let nothing = AgedRow {
            buckets: vec![gbp("0"); 4],
            ..row
        };
        assert!(
            ageing(&buckets, &nothing)
                .bands
                .iter()
                .all(|band| band.width == 0)
        );
    }
}
