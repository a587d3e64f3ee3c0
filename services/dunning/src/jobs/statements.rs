//! Statements of a run: worked out for a range of accounts, and made anew at the
//! moment of sending.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::{Channel, ContactItem, RunKind};
use kernel::{AccountId, Currency, DocumentId, Money, london_date};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    channel::Options,
    domain::{
        chase::Moment,
        letter,
        policy::Policies,
        run::{Line, inside},
        sheet,
        statement::{self, Asked, Holder, Rules, Worked},
        template::Facts,
    },
    jobs::written::{Making, To, reference, write},
    store::{
        self,
        accounts::Among,
        contacts::Written,
        dispatch::Queued,
        runs::{Range, Run},
        statements::Sent,
        templates::Templates,
    },
};

/// What a statement is made with.
#[derive(Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) options: &'a Options,
    pub(crate) policies: &'a Policies,
    pub(crate) templates: &'a Templates,
    pub(crate) moment: Moment,
}

fn no_rules() -> Failure {
    Failure::bug("dunning.no_rules", "there are no rules of statements")
}

/// What a range of accounts comes to: its lines, and how many items of it are
/// overdue.
pub(crate) async fn range(
    conn: &mut PgConnection,
    run: &Run,
    range: Range,
    by: By<'_>,
) -> Result<(Vec<Line>, usize), Failure> {
    let asked = Asked {
        kind: run.kind,
        as_at: run.as_of,
        today: by.moment.today,
        feed_age_hours: by.moment.feed_age_hours,
    };
    let rules = Rules::on(run.as_of).ok_or_else(no_rules)?;
    let period = rules.period.of(run.as_of);
    let among = Among::range(range.from, range.to);
    let holders = store::statements::holders(conn, among, run.kind, period, run.id).await?;
    let (mut lines, mut overdue) = (Vec::with_capacity(holders.len()), 0);
    for holder in &holders {
        if !inside(&holder.position, &run.scope) {
            continue;
        }
        let worked = statement::work_out(holder, by.policies, rules, asked).map_err(Failure::of)?;
        let channels = &run.scope.channels;
        let wanted = worked
            .channel
            .is_none_or(|way| channels.is_empty() || channels.contains(&way));
        if !wanted {
            continue;
        }
        overdue += worked.lines.iter().filter(|line| line.is_overdue()).count();
        let principal = holder.position.principal.clone();
        let in_name_of = principal.filter(|name| by.options.principals.contains_key(name));
        lines.push(
            worked
                .line(&holder.position, in_name_of)
                .map_err(Failure::of)?,
        );
    }
    Ok((lines, overdue))
}

/// A debtor's statement at this moment, within what was proposed of the account.
struct Now {
    to: To,
    holder: Holder,
    worked: Worked,
    rules: &'static Rules,
    kind: RunKind,
}

/// Accounts of one run as they are at this moment.
async fn holders(
    conn: &mut PgConnection,
    run: &[Queued],
) -> Result<HashMap<AccountId, Holder>, Failure> {
    let accounts: Vec<Uuid> = run.iter().map(|one| one.account_id).collect();
    let (Some(one), Some(among)) = (run.first(), Among::these(&accounts)) else {
        return Ok(HashMap::new());
    };
    let kind = store::known(RunKind::named(&one.kind), &one.kind)?;
    let rules = Rules::on(one.as_of).ok_or_else(no_rules)?;
    let period = rules.period.of(one.as_of);
    let holders = store::statements::holders(conn, among, kind, period, one.run_id.into()).await?;
    let by_account = |holder: Holder| (holder.position.account, holder);
    Ok(holders.into_iter().map(by_account).collect())
}

/// One for everybody who owes the account.
fn now(one: &Queued, mut holder: Holder, by: By<'_>) -> Result<Vec<Now>, Failure> {
    let kind = store::known(RunKind::named(&one.kind), &one.kind)?;
    let rules = Rules::on(one.as_of).ok_or_else(no_rules)?;
    // Whichever run comes first sends it; the other is told that there was one.
    holder.in_run = false;
    let asked = Asked {
        kind,
        as_at: one.as_of,
        today: by.moment.today,
        feed_age_hours: by.moment.feed_age_hours,
    };
    let approved = approved(one)?;
    let mut all = Vec::new();
    for (debtor, seen) in statement::each(&holder) {
        let to = To::of(one, debtor, &holder.position.debtors);
        let worked = statement::alone(&seen, by.policies, rules, asked);
        let mut worked = worked.map_err(Failure::of)?;
        worked.limit(&approved).map_err(Failure::of)?;
        all.push(Now {
            to,
            holder: seen,
            worked,
            rules,
            kind,
        });
    }
    Ok(all)
}

/// Of each document what was open and what was due when it was frozen.
fn approved(one: &Queued) -> Result<BTreeMap<DocumentId, (Money, Money)>, Failure> {
    let mut approved = BTreeMap::new();
    for (n, document) in one.documents.iter().enumerate() {
        let (Some(open), Some(due_now), Some(currency)) = (
            one.opens.get(n),
            one.chaseable.get(n),
            one.currencies.get(n),
        ) else {
            continue;
        };
        approved.insert(
            DocumentId::from(*document),
            (
                store::money(*open, currency)?,
                store::money(*due_now, currency)?,
            ),
        );
    }
    Ok(approved)
}

/// What a plain statement came to when it was frozen, by currency.
fn balances(one: &Queued) -> Result<BTreeMap<Currency, Money>, Failure> {
    let mut sums = BTreeMap::new();
    for (open, _) in approved(one)?.values() {
        let sum = sums
            .entry(open.currency())
            .or_insert_with(|| Money::zero(open.currency()));
        *sum = sum.checked_add(*open).map_err(Failure::of)?;
    }
    Ok(sums)
}

/// Why it is not sent after all.
fn recalled(one: &Queued, now: &Now) -> Result<Option<String>, Failure> {
    if let Some(why) = now.worked.excluded {
        return Ok(Some(why.name().to_owned()));
    }
    let amounts = now.worked.amounts().map_err(Failure::of)?;
    if !amounts.iter().any(|amount| amount.is_positive()) {
        return Ok(Some("nothing_owed".to_owned()));
    }
    if now.kind == RunKind::Statement {
        let was = balances(one)?;
        let more = |amount: &Money| {
            was.get(&amount.currency())
                .is_none_or(|was| was.amount() < amount.amount())
        };
        if amounts.iter().any(more) {
            return Ok(Some("more is open now than was approved".to_owned()));
        }
    }
    Ok(None)
}

/// What fills a text in, and which text it is.
fn facts(one: &Queued, now: &Now, by: By<'_>, on: NaiveDate) -> Result<Facts, Failure> {
    let principal = by.options.principal(one.in_name_of.as_deref());
    let sender = principal.map_or(&by.options.sender, |principal| &principal.sender);
    let amounts = now.worked.amounts().map_err(Failure::of)?;
    let total: Vec<String> = amounts.iter().map(|amount| amount.display_uk()).collect();
    let mut facts = Facts::new(
        sender.clone(),
        now.to.addressee(one),
        sheet::items(&now.worked),
        total.join(" and "),
        on,
        one.sentence.clone(),
    );
    let net = now.rules.is_net(now.holder.position.segment.as_deref());
    facts.joint.clone_from(&now.to.joint);
    facts.sheet = Some(sheet::sheet(&now.worked, net).map_err(Failure::of)?);
    Ok(facts)
}

fn template<'t>(
    one: &Queued,
    kind: RunKind,
    by: By<'t>,
) -> Result<&'t crate::domain::template::Template, String> {
    let name = statement::template(kind);
    let of_principal = by
        .options
        .principal(one.in_name_of.as_deref())
        .and_then(|principal| principal.templates.get(name));
    let name = of_principal.map_or(name, String::as_str);
    by.templates
        .of_run(one.run_id, name)
        .ok_or_else(|| format!("there is no template {name}"))
}

/// Works the statements of accounts of one run out again: those that were written
/// for each, one with each debtor who gets one, or why it is recalled, in their order.
pub(crate) async fn decide(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
    run: &[Queued],
    by: By<'_>,
) -> Result<Vec<Result<Vec<(Written, Sent)>, String>>, Failure> {
    let mut holders = holders(conn, run).await?;
    run.iter()
        .map(|one| match holders.remove(&one.account_id.into()) {
            Some(holder) => decide_one(at, one, holder, by),
            None => Ok(Err("nothing_owed".to_owned())),
        })
        .collect()
}

fn decide_one(
    at: DateTime<Utc>,
    one: &Queued,
    holder: Holder,
    by: By<'_>,
) -> Result<Result<Vec<(Written, Sent)>, String>, Failure> {
    let (mut made, mut why) = (Vec::new(), None);
    for now in now(one, holder, by)? {
        match decide_to(at, one, &now, by)? {
            Ok(written) => made.push(written),
            Err(because) => why = Some(because),
        }
    }
    if made.is_empty() {
        return Ok(Err(why.unwrap_or_else(|| "nothing_owed".to_owned())));
    }
    Ok(Ok(made))
}

fn decide_to(
    at: DateTime<Utc>,
    one: &Queued,
    now: &Now,
    by: By<'_>,
) -> Result<Result<(Written, Sent), String>, Failure> {
    if let Some(why) = recalled(one, now)? {
        return Ok(Err(why));
    }
    let position = &now.holder.position;
    let chosen = one.channel.as_deref().and_then(Channel::named);
    // Another way than the rules' own was chosen by a person, while it reaches them.
    let channel = chosen
        .filter(|channel| statement::reaches(position, *channel))
        .or(now.worked.channel);
    let Some(channel) = channel else {
        return Ok(Err("no_address".to_owned()));
    };
    let template = match template(one, now.kind, by) {
        Ok(template) => template,
        Err(why) => return Ok(Err(why)),
    };
    let facts = facts(one, now, by, london_date(at))?;
    let red = now.kind == RunKind::RedStatement;
    let items: Vec<ContactItem> = now
        .worked
        .lines
        .iter()
        .filter(|line| !red || line.due_now.is_positive())
        .map(|line| ContactItem {
            document_id: line.document,
            document_ref: line.document_ref.clone(),
            stage: None,
            amount: if red { line.due_now } else { line.open },
        })
        .collect();
    let principal = by.options.principal(one.in_name_of.as_deref());
    let written = write(
        at,
        Making {
            one,
            to: &now.to,
            sender: principal.map_or(&by.options.sender, |principal| &principal.sender),
            channel,
            template,
            facts: &facts,
            enclosed: Vec::new(),
            stage: statement::template(now.kind),
            title: &template.title,
            ranks: vec![None; items.len()],
            items,
            amounts: now.worked.amounts().map_err(Failure::of)?,
            counted_on: now.rules.in_budget(now.kind).then_some(facts.on),
        },
    );
    Ok(written.map(|written| {
        let sent = Sent {
            contact: written.event.contact_id.as_uuid(),
            debtor: now.to.debtor.clone(),
            account: one.account_id,
            kind: now.kind,
            period: now.rules.period.of(one.as_of),
            as_at: one.as_of,
            overdue: now.worked.has_overdue(),
        };
        (written, sent)
    }))
}

/// The letter as it would be now; or why there would be none.
pub(crate) async fn preview(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
    one: &Queued,
    by: By<'_>,
) -> Result<Result<Vec<u8>, String>, Failure> {
    let (mut found, mut none_because) = (None, "nothing_owed".to_owned());
    let holder = holders(conn, std::slice::from_ref(one))
        .await?
        .into_values()
        .next();
    let all = holder.map(|holder| now(one, holder, by)).transpose()?;
    for now in all.unwrap_or_default() {
        match recalled(one, &now)? {
            None => {
                found = Some(now);
                break;
            }
            Some(why) => none_because = why,
        }
    }
    let Some(now) = found else {
        return Ok(Err(none_because));
    };
    let template = match template(one, now.kind, by) {
        Ok(template) => template,
        Err(why) => return Ok(Err(why)),
    };
    let facts = facts(one, &now, by, london_date(at))?;
    let filled = match template.fill(&facts) {
        Ok(filled) => filled,
        Err(error) => return Ok(Err(error.to_string())),
    };
    Ok(Ok(letter::pdf(&filled, &facts, &reference(one, &now.to))))
}
