//! Templates: what there is, drafting, and trying one on an account.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::NaiveDate;
use contracts::api::{
    Page, Refusal,
    dunning::{
        DraftTemplate, EditionKind, EditionState, GetTemplate, ListTemplates, PreviewTemplate,
        TemplateDetail, TemplateName, TemplateNeed, TemplatePreview, TemplateRow,
    },
};
use kernel::{AccountId, Currency, DocumentId, Money, london_date};
use messaging::{Bus, Failure};
use sqlx::PgConnection;

use super::{
    act::Act,
    editions::{draft, no_edition, pick, views},
    late_sums, moment, text,
};
use crate::{
    domain::{
        chase, diff,
        edition::{Edition, before, in_force},
        letter,
        policy::{LegalClass, Policies},
        policy_text::kinds_of,
        template::{Addressee, Facts, Line, Sender, Template},
        wording,
    },
    store,
};

const KIND: EditionKind = EditionKind::Template;

fn read(one: &Edition) -> Result<Template, Failure> {
    Ok(serde_json::from_value(one.body.clone())?)
}

/// Stages of policies in force that send it.
fn used_by(policies: &Policies, name: &str, day: NaiveDate) -> Vec<String> {
    let mut used = Vec::new();
    for policy in policies.valid(day) {
        for stage in policy.stages.iter().filter(|s| s.template == name) {
            used.push(format!("{}: {}", policy.title, stage.title));
        }
    }
    used
}

pub(crate) async fn list_templates(
    _: ListTemplates,
    bus: Bus,
) -> Result<Page<TemplateRow>, Refusal> {
    let today = london_date(bus.now());
    let mut tx = bus.begin().await?;
    let policies = store::policies::all(tx.conn()).await?;
    let mut by_name: BTreeMap<String, Vec<Edition>> = BTreeMap::new();
    for one in store::editions::all(tx.conn(), KIND).await? {
        by_name.entry(one.name.clone()).or_default().push(one);
    }
    let mut items = Vec::with_capacity(by_name.len());
    for (name, editions) in by_name {
        let current = in_force(&editions, today);
        let Some(newest) = editions.first() else {
            continue;
        };
        // What is in force gives the title; what never was, its draft.
        let shown = editions
            .iter()
            .find(|one| Some(one.version) == current)
            .unwrap_or(newest);
        items.push(TemplateRow {
            title: shown.title.clone(),
            legal: read(shown)?.legal.name().to_owned(),
            version: current,
            newest: newest.view(current == Some(newest.version)),
            used_by: used_by(&policies, &name, today),
            template: name,
        });
    }
    Ok(Page {
        items,
        next_cursor: None,
    })
}

async fn detail(
    conn: &mut PgConnection,
    name: &str,
    version: Option<i32>,
    today: NaiveDate,
) -> Result<TemplateDetail, Failure> {
    let editions = store::editions::of(conn, KIND, name, false).await?;
    let policies = store::policies::all(conn).await?;
    let one = pick(&editions, KIND, name, version)?;
    let template = read(one)?;
    let against = before(&editions, one.version);
    let old = against.map(read).transpose()?;
    let (old_subject, old_body) = old
        .as_ref()
        .map_or(("", ""), |old| (&old.subject, &old.body));
    let kinds = kinds_of(&template, &policies, one.valid_from);
    let facts = Facts::sample();
    let needs = wording::said(&template, &facts)
        .and_then(|said| wording::needs(&said, &facts, &kinds, one.valid_from))
        .map_err(Failure::of)?;
    let all = views(&editions, today);
    let edition = all.iter().find(|view| view.version == one.version);
    Ok(TemplateDetail {
        edition: edition
            .cloned()
            .ok_or_else(|| no_edition(KIND, name, version))?,
        subject_diff: diff::words(old_subject, &template.subject),
        body_diff: diff::words(old_body, &template.body),
        against: against.map(|one| one.version),
        needs: needs
            .into_iter()
            .map(|(need, met)| TemplateNeed {
                what: need.what,
                words: need.words,
                source: need.source,
                valid_from: need.valid_from,
                met,
            })
            .collect(),
        names: wording::names()
            .into_iter()
            .map(|(name, example)| TemplateName { name, example })
            .collect(),
        used_by: used_by(&policies, name, today),
        editions: all,
        template: template.template,
        title: template.title,
        legal: template.legal.name().to_owned(),
        subject: template.subject,
        body: template.body,
    })
}

pub(crate) async fn get_template(ask: GetTemplate, bus: Bus) -> Result<TemplateDetail, Refusal> {
    let mut tx = bus.begin().await?;
    let today = london_date(bus.now());
    Ok(detail(tx.conn(), &ask.template, ask.version, today).await?)
}

pub(crate) async fn draft_template(
    ask: DraftTemplate,
    bus: Bus,
) -> Result<TemplateDetail, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id = ask.command_id.as_uuid();
    if let Some(mut act) = Act::begin(&bus, ask.command_id).await? {
        let wrong = || {
            Failure::permanent(
                "dunning.template_wrong",
                "the text could not be published as it is",
            )
        };
        let legal = LegalClass::named(&ask.legal)
            .ok_or_else(|| wrong().at("/legal", "there is no such kind of letter"))?;
        let valid_from = ask.valid_from.unwrap_or(act.today);
        if valid_from < act.today {
            return Err(wrong().at("/valid_from", "not before today").into());
        }
        let known = store::editions::of(act.tx.conn(), KIND, &ask.template, true).await?;
        let policies = store::policies::all(act.tx.conn()).await?;
        let template = Template {
            template: ask.template.clone(),
            version: known.first().map_or(1, |newest| newest.version + 1),
            title: ask.title.trim().to_owned(),
            legal,
            subject: ask.subject.trim().to_owned(),
            // Browsers send line ends of their own.
            body: ask.body.replace("\r\n", "\n"),
        };
        let kinds = kinds_of(&template, &policies, valid_from);
        let faults = wording::faults(&template, &kinds, valid_from);
        if !faults.is_empty() {
            let told = faults.iter().fold(wrong(), |told, fault| {
                let line = fault
                    .line
                    .map_or_else(String::new, |n| format!("line {n}: "));
                told.at(format!("/{}", fault.field), format!("{line}{fault}"))
            });
            return Err(told.into());
        }
        let body = serde_json::to_value(&template).map_err(Failure::from)?;
        let new = Edition {
            id,
            kind: KIND,
            name: template.template,
            version: template.version,
            state: EditionState::Draft,
            title: template.title,
            valid_from,
            sha256: store::editions::sha256(&body),
            body,
            source: String::new(),
            drafted_by: ask.person.actor.clone(),
            drafted_at: act.now,
            reason: reason.clone(),
            approval: None,
            decided_by: None,
            decided_at: None,
            decision: None,
        };
        draft(&mut act, known, &new, &reason, &ask.person).await?;
        act.finish(&bus).await?;
    }
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let made = store::editions::lock(conn, &[id]).await?;
    let version = made.first().map(|one| one.version);
    Ok(detail(conn, &ask.template, version, london_date(bus.now())).await?)
}

pub(crate) async fn preview_template(
    ask: PreviewTemplate,
    bus: Bus,
    sender: Sender,
) -> Result<TemplatePreview, Refusal> {
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let editions = store::editions::of(conn, KIND, &ask.template, false).await?;
    let one = pick(&editions, KIND, &ask.template, ask.version)?;
    let template = read(one)?;
    let account_ref = ask.account_ref.trim();
    let who = store::templates::tried(conn, account_ref)
        .await?
        .ok_or_else(|| {
            Failure::permanent(
                "dunning.no_account",
                format!("there is no account {account_ref}"),
            )
            .at("/account_ref", "no account has this reference")
        })?;
    let account = AccountId::from(who.account_id);
    let moment = moment(conn, &bus).await?;
    let policies = store::policies::all(conn).await?;
    let positions = store::positions::load(conn, store::accounts::Among::one(account)).await?;
    let position = positions.first().ok_or_else(|| {
        Failure::conflict("dunning.nothing_open", "nothing is open on this account")
            .at("/account_ref", "choose an account that owes something")
    })?;
    let judgement = chase::judge(position, &policies, moment).map_err(Failure::of)?;
    let mut shown: Vec<(DocumentId, Money)> = judgement
        .verdicts
        .iter()
        .filter(|verdict| verdict.is_chased() && verdict.chaseable.is_positive())
        .map(|verdict| (verdict.document, verdict.chaseable))
        .collect();
    let nothing_chased = shown.is_empty();
    if nothing_chased {
        shown = position
            .items
            .iter()
            .map(|i| (i.document, i.open))
            .collect();
    }
    let mut lines = Vec::with_capacity(shown.len());
    let mut sums: BTreeMap<Currency, Money> = BTreeMap::new();
    for (document, amount) in &shown {
        let Some(item) = position.items.iter().find(|i| i.document == *document) else {
            continue;
        };
        let sum = sums
            .entry(amount.currency())
            .or_insert_with(|| Money::zero(amount.currency()));
        *sum = sum.checked_add(*amount).map_err(Failure::of)?;
        lines.push(Line {
            document_ref: item.document_ref.clone(),
            due_on: item.due_on,
            amount: amount.display_uk(),
        });
    }
    let total: Vec<String> = sums.values().map(|sum| sum.display_uk()).collect();
    let mut facts = Facts::new(
        sender,
        Addressee {
            r#ref: account_ref.to_owned(),
            name: who.name.clone(),
            address: who.address,
        },
        lines,
        total.join(" and "),
        moment.today,
        None,
    );
    if template.names_late() {
        let documents: Vec<DocumentId> = shown.iter().map(|(document, _)| *document).collect();
        facts.late = late_sums(conn, account, &documents, moment.today).await?;
    }
    let filled = template.fill(&facts).map_err(Failure::of)?;
    let letter = letter::pdf(&filled, &facts, &format!("{account_ref}/preview"));
    Ok(TemplatePreview {
        template: one.name.clone(),
        version: one.version,
        account_ref: account_ref.to_owned(),
        name: who.name,
        nothing_chased,
        text: letter::text(&filled, &facts),
        html: letter::html(&filled, &facts),
        letter_base64: BASE64_STANDARD.encode(letter),
        subject: filled.subject,
    })
}
