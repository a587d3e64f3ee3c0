//! What a change of a mandate or a collection writes and tells, whoever brought
//! it: billing, a report of Bacs, a person, time.
//!
//! Locks are taken in this order: mandates, collections, runs, files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    api::{direct_debits::CollectionRunState, ingestion::ImportProblem},
    ingestion::{BacsFileId, CollectionRunId, CollectionState, MandateId},
};
use kernel::ImportId;
use messaging::{Failure, Meta, Outgoing, Tx};
use uuid::Uuid;

use crate::{
    domain::{
        collection::Collection,
        mandate::{
            Mandate, Outcome,
            advice::{self, Advice, Kind},
        },
        problem::Problem,
        record::MandateStep,
    },
    store::{self, collections::Which},
};

/// Who changes something, and because of what.
#[derive(Clone, Copy)]
pub(crate) struct Teller<'a> {
    pub(crate) prefix: &'a Prefix,
    pub(crate) actor: &'a str,
    pub(crate) cause: &'a Meta,
    pub(crate) now: DateTime<Utc>,
}

impl Teller<'_> {
    pub(crate) async fn mandate(&self, tx: &mut Tx, mandate: &Mandate) -> Result<(), Failure> {
        store::mandates::put(tx, mandate, self.actor, self.cause.id, self.now).await?;
        let fact = mandate.fact(self.actor, self.cause.id, self.now);
        let about = mandate.id.as_uuid();
        self.tell(tx, &fact, about, mandate.version).await
    }

    pub(crate) async fn collection(&self, tx: &mut Tx, one: &Collection) -> Result<(), Failure> {
        store::collections::put(tx, one, self.actor, self.cause.id, self.now).await?;
        let fact = one.fact(self.actor, self.cause.id, self.now);
        self.tell(tx, &fact, one.id.as_uuid(), one.version).await
    }

    pub(crate) async fn tell<E: contracts::Event>(
        &self,
        tx: &mut Tx,
        fact: &E,
        about: Uuid,
        version: i64,
    ) -> Result<(), Failure> {
        let event = Outgoing::new(fact, about, version, self.prefix, self.now, self.cause)?;
        tx.publish(&[event]).await
    }

    /// Writes a mandate, and what follows for what is collected by it.
    pub(crate) async fn step(&self, tx: &mut Tx, step: &MandateStep) -> Result<(), Failure> {
        self.mandate(tx, &step.mandate).await?;
        let of = [step.mandate.id];
        let before = store::collections::lock(tx, Which::Mandates(&of)).await?;
        let (mut unmade, mut runs) = (BTreeSet::new(), BTreeSet::new());
        for one in before {
            let Some(next) = one.follow(step.collections, &step.mandate.reason) else {
                continue;
            };
            if one.state == CollectionState::InFile {
                unmade.extend(one.file_id);
                runs.insert(one.run_id);
            }
            self.collection(tx, &next).await?;
        }
        let files: Vec<BacsFileId> = unmade.into_iter().collect();
        self.unmake(tx, &files, runs, &step.mandate.reason).await
    }

    /// Files that nobody has fetched hold something that must not be sent: they
    /// are void, and the rest of them goes into another.
    pub(crate) async fn unmake(
        &self,
        tx: &mut Tx,
        files: &[BacsFileId],
        mut runs: BTreeSet<CollectionRunId>,
        why: &str,
    ) -> Result<(), Failure> {
        if files.is_empty() {
            return Ok(());
        }
        for one in store::collections::lock(tx, Which::Files(files)).await? {
            runs.insert(one.run_id);
            if one.state == CollectionState::InFile {
                let mut next = one.became(
                    CollectionState::Approved,
                    "its file is void; it goes into another",
                );
                next.file_id = None;
                self.collection(tx, &next).await?;
            }
        }
        let runs: Vec<CollectionRunId> = runs.into_iter().collect();
        let all = store::collections::find(tx.conn(), Which::Runs(&runs), false).await?;
        for mut run in store::collections::lock_runs(tx, &runs).await? {
            if run.state == CollectionRunState::InFile {
                let left = |one: &Collection| {
                    one.run_id == run.id && one.state == CollectionState::Approved
                };
                run.state = if all.iter().any(left) {
                    CollectionRunState::Approved
                } else {
                    CollectionRunState::Over
                };
                run.file_id = None;
                store::collections::put_run(tx, &run).await?;
            }
        }
        store::bacs_files::void(tx, files, why).await
    }
}

/// What came of an advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// None is known by this reference.
    pub mandate: Option<MandateId>,
    pub outcome: String,
    pub to_do: Option<String>,
}

impl Heard {
    fn nobody(outcome: &str) -> Self {
        Self {
            mandate: None,
            outcome: outcome.to_owned(),
            to_do: None,
        }
    }

    /// What is to do by it, as it stands with an import.
    pub(crate) fn problem(&self, advice: &Advice) -> Option<Problem> {
        let to_do = self.to_do.as_ref()?;
        let reference = advice.reference.trim();
        let detail = format!("{reference}: {}; {to_do}", self.outcome);
        Some(Problem::new("mandate_needs_action", detail))
    }
}

/// Applies what reports say, in one transaction, the oldest report first. What was
/// heard before changes nothing; what is about no mandate of ours is noted as such,
/// and is heard again by [`hear_of_told`].
///
/// # Errors
/// When the database fails.
pub(crate) async fn hear(
    tx: &mut Tx,
    teller: Teller<'_>,
    user_number: Option<&str>,
    import_id: ImportId,
    advices: &[Advice],
) -> Result<Vec<Heard>, Failure> {
    if advices.is_empty() {
        return Ok(Vec::new());
    }
    store::mandates::take_turn(tx, store::mandates::Turn::Hear).await?;
    let keys: Vec<String> = advices.iter().map(Advice::key).collect();
    let mut noted = store::mandates::noted(tx, &keys).await?;
    let fresh: Vec<Advice> = advices
        .iter()
        .filter(|advice| noted.insert(advice.key()))
        .cloned()
        .collect();
    let outcomes = apply(tx, |_| Some(teller), user_number, &fresh).await?;
    let mut new = HashMap::new();
    for (advice, heard) in fresh.iter().zip(outcomes) {
        let (of, outcome) = (heard.mandate, heard.outcome.as_str());
        store::mandates::note_advice(tx, advice, import_id, of, outcome, teller.now).await?;
        new.insert(advice.key(), heard);
    }
    // A twin of a new one was heard with it.
    Ok(keys
        .iter()
        .map(|key| {
            new.remove(key)
                .unwrap_or_else(|| Heard::nobody("it was heard before"))
        })
        .collect())
}

/// Applies what was said of mandates before they were told, in the transaction
/// that tells them, as if it came now. Gives back what is to do by it; it stands
/// with the files that said it, too.
pub(crate) async fn hear_of_told<'t>(
    tx: &mut Tx,
    teller_of: impl Fn(&Mandate) -> Option<Teller<'t>>,
    user_number: Option<&str>,
    told: &[MandateStep],
) -> Result<Vec<Problem>, Failure> {
    let references: Vec<String> = told
        .iter()
        .filter(|step| step.new)
        .map(|step| step.mandate.reference.clone())
        .collect();
    if references.is_empty() {
        return Ok(Vec::new());
    }
    let mut said = store::mandates::unheard(tx, &references).await?;
    said.retain(|(advice, _)| !advice.kind.is_of_file());
    let (advices, files): (Vec<Advice>, Vec<Option<Uuid>>) = said.into_iter().unzip();
    let of_new = |mandate: &Mandate| {
        let new = |step: &&MandateStep| step.new && step.mandate.id == mandate.id;
        teller_of(told.iter().find(new).map(|step| &step.mandate)?)
    };
    let heard = apply(tx, of_new, user_number, &advices).await?;
    let mut to_do = Vec::new();
    let mut of_files: BTreeMap<Uuid, Vec<ImportProblem>> = BTreeMap::new();
    for ((advice, file), heard) in advices.iter().zip(files).zip(&heard) {
        let of = told
            .iter()
            .find(|step| Some(step.mandate.id) == heard.mandate);
        let teller = of.and_then(|step| teller_of(&step.mandate));
        let (Some(id), Some(teller)) = (heard.mandate, teller) else {
            continue;
        };
        store::mandates::note_later(tx, advice, id, &heard.outcome, teller.cause.id, teller.now)
            .await?;
        if let Some(problem) = heard.problem(advice) {
            if let Some(file) = file {
                of_files.entry(file).or_default().push(problem.shown());
            }
            to_do.push(problem);
        }
    }
    for (file, problems) in of_files {
        store::imports::add_problems(tx, file, &problems).await?;
    }
    Ok(to_do)
}

/// What came of each advice, applied in the order in which they are heard.
async fn apply<'t>(
    tx: &mut Tx,
    teller_of: impl Fn(&Mandate) -> Option<Teller<'t>>,
    user_number: Option<&str>,
    advices: &[Advice],
) -> Result<Vec<Heard>, Failure> {
    let named = store::mandates::named(tx, advices).await?;
    let mut ids: Vec<MandateId> = named.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut mandates = store::mandates::lock(tx, store::mandates::Which::Ids(&ids)).await?;
    let mut heard = vec![Heard::nobody("no mandate of ours has this reference"); advices.len()];
    for at in advice::in_order(advices) {
        let (Some(advice), Some(place)) = (advices.get(at), heard.get_mut(at)) else {
            continue;
        };
        if user_number.is_some_and(|ours| ours != advice.user_number.trim()) {
            *place = Heard::nobody("it is for another service user");
            continue;
        }
        let of: Vec<MandateId> = named
            .iter()
            .filter(|(n, _)| *n == at)
            .map(|(_, id)| *id)
            .collect();
        for mandate in mandates.iter_mut().filter(|m| of.contains(&m.id)) {
            let Some(teller) = teller_of(mandate) else {
                continue;
            };
            let outcome = one(tx, teller, mandate, advice).await?;
            *place = Heard {
                mandate: Some(mandate.id),
                outcome: outcome.reason,
                to_do: outcome.to_do,
            };
        }
    }
    Ok(heard)
}

/// One advice about one mandate: the collection that it is about, then the
/// mandate, then what else is collected by it.
async fn one(
    tx: &mut Tx,
    teller: Teller<'_>,
    mandate: &mut Mandate,
    advice: &Advice,
) -> Result<Outcome, Failure> {
    let mut outcome = mandate.hear(advice);
    if advice.kind == Kind::Unpaid {
        let of = [mandate.id];
        let all = store::collections::lock(tx, Which::Mandates(&of)).await?;
        let mut fits = all.iter().filter(|one| match advice.effective_on {
            Some(day) => one.processing_on == day,
            None => matches!(one.state, CollectionState::Sent | CollectionState::AtRisk),
        });
        let unpaid = match (fits.next(), fits.next()) {
            (Some(only), None) => only.unpaid(outcome.again, &outcome.reason),
            _ => None,
        };
        match unpaid {
            Some(unpaid) => teller.collection(tx, &unpaid).await?,
            None => outcome
                .reason
                .push_str("; it is about no collection of ours"),
        }
    }
    if let Some(mut next) = outcome.mandate.clone() {
        next.version = mandate.version + 1;
        let step = MandateStep {
            mandate: next.clone(),
            collections: outcome.collections,
            new: false,
        };
        teller.step(tx, &step).await?;
        *mandate = next;
    }
    Ok(outcome)
}
