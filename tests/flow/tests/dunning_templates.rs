//! Templates and policies: drafted by one person, published by another, taken up
//! by what is proposed afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use contracts::{
    Event, Role,
    api::{
        PageRequest, Refusal,
        controls::{ApprovalQueue, ApprovalView, DecideApproval, ListApprovals, Person, Verdict},
        dunning::{
            AssignPolicy, AssignmentState, DiffKind, DraftPolicy, DraftTemplate,
            DunningPolicyDetail, EditionKind, EditionState, EditionStep, EditionView,
            GetDunningPolicy, GetLatePayment, GetRun, GetStanding, GetStatement, GetTemplate,
            ItemStanding, ListPolicyAssignments, ListRuns, ListTemplates, PolicyAssignment,
            PreviewTemplate, ProposeRun, RunScope, RunStep, RunView, StepEdition, StepRun,
            TemplateDetail,
        },
        reporting::{AccountKey, GetAccount},
    },
    controls::ApprovalId,
    disputes::{CaseChanged, CaseId, CaseItem, CaseKind, CaseState, Resolution},
    dunning::{
        AssignTo, ChargeKind, ChargeState, PolicyAssigned, PolicyPublished, RunState,
        TemplatePublished,
    },
    inbound::AccountKind,
};
use dunning::{MailOptions, Options};
use kernel::{AccountId, CommandId, ManualClock, Money};
use messaging::Bus;
use runtime::local::MailSink;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some};

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
    sink: MailSink,
    _mail: tempfile::TempDir,
}

fn person(name: &str, role: &str) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: vec![role.to_owned()],
    }
}

fn waiting() -> ListApprovals {
    ListApprovals {
        queue: ApprovalQueue::default(),
        person: person("max", "manager"),
        page: PageRequest::default(),
    }
}

impl Office {
    /// On 2 March 2026: what was due on 31 January is a month late.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-03-02T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock, |_| {}).await;
        let mail = tempfile::tempdir().unwrap();
        let sink = MailSink::start(mail.path()).await.unwrap();
        let options = Options {
            mail: Some(MailOptions {
                host: sink.address().ip().to_string(),
                port: sink.address().port(),
                security: mail::Security::default(),
                credentials: None,
                idempotent: true,
                timeout: std::time::Duration::from_mins(1),
            }),
            ..Options::default()
        };
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite
                .run(Role::Dunning, |bus| dunning::run_with(bus, options))
                .await,
            suite.run(Role::Worklist, worklist::run).await,
            suite.run(Role::Reporting, reporting::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let office = Self {
            suite,
            gateway,
            sink,
            _mail: mail,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListRuns::default()).await.is_ok()
                && office.gateway.ask(&waiting()).await.is_ok()
        })
        .await;
        office
    }

    async fn debtor(
        &self,
        account_ref: &str,
        kind: AccountKind,
        parent: Option<&str>,
    ) -> AccountId {
        let mut debtor = account(account_ref);
        debtor.kind = kind;
        debtor.segment = None;
        debtor.parent_ref = parent.map(str::to_owned);
        debtor.email = Some(format!("{}@example.invalid", account_ref.to_lowercase()));
        debtor.address = Some("1 High Street\nTown\nAB1 2CD".to_owned());
        self.suite.publish_account(account_ref, &debtor).await;
        let document_ref = format!("INV-{account_ref}");
        let document = document(&document_ref, account_ref, "100.00");
        self.suite.publish_document(&document_ref, &document).await;
        let id = eventually_some("the account is known", DEADLINE, async || {
            let key = AccountKey::Ref(account_ref.to_owned());
            let found = self.gateway.ask(&GetAccount { account: key }).await;
            found.ok().map(|view| view.account_id)
        })
        .await;
        eventually("dunning knows the document", DEADLINE, async || {
            let ask = GetStanding { account_id: id };
            self.gateway.ask(&ask).await.unwrap().items.len() == 1
        })
        .await;
        id
    }

    async fn policy_of(&self, account_id: AccountId) -> Option<String> {
        let ask = GetStanding { account_id };
        let standing = self.gateway.ask(&ask).await.unwrap();
        // With its version: `trade_credit v1`.
        standing
            .policy
            .and_then(|p| Some(p.split_once(' ')?.0.to_owned()))
    }

    async fn comes_to(&self, account_id: AccountId, policy: &str) {
        eventually("it has the policy", DEADLINE, async || {
            self.policy_of(account_id).await.as_deref() == Some(policy)
        })
        .await;
    }

    /// What stands first of the reference of an account.
    async fn assignment(&self, reference: &str) -> Option<PolicyAssignment> {
        let all = self.gateway.ask(&ListPolicyAssignments {}).await.unwrap();
        all.items.into_iter().find(|one| one.reference == reference)
    }

    /// Asks who has which policy, and Max decides.
    async fn assigned(&self, ask: &AssignPolicy, verdict: Verdict) {
        let asked = self.gateway.ask(ask).await.unwrap();
        let approval = self.asked(asked.approval_id).await.approval_id;
        self.decide(approval, "max", verdict).await.unwrap();
        eventually("it is decided", DEADLINE, async || {
            let all = self.gateway.ask(&ListPolicyAssignments {}).await.unwrap();
            let mut all = all.items.iter();
            all.any(|one| {
                one.approval_id == asked.approval_id && one.state != AssignmentState::Requested
            })
        })
        .await;
    }

    async fn template(&self, version: Option<i32>) -> TemplateDetail {
        let ask = GetTemplate {
            template: "reminder".to_owned(),
            version,
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    /// A draft of the reminder with another text.
    async fn draft(&self, who: &str, body: &str) -> Result<TemplateDetail, Refusal> {
        let known = self.template(Some(1)).await;
        self.gateway
            .ask(&DraftTemplate {
                command_id: CommandId::generate(),
                template: known.template,
                title: known.title,
                legal: known.legal,
                subject: known.subject,
                body: body.to_owned(),
                valid_from: None,
                reason: "reads better".to_owned(),
                person: person(who, "controller"),
            })
            .await
    }

    async fn step(
        &self,
        kind: EditionKind,
        name: &str,
        version: i32,
        step: EditionStep,
        who: &str,
    ) -> Result<EditionView, Refusal> {
        self.gateway
            .ask(&StepEdition {
                command_id: CommandId::generate(),
                kind,
                name: name.to_owned(),
                version,
                step,
                reason: "please look".to_owned(),
                person: person(who, "manager"),
            })
            .await
    }

    async fn asked(&self, approval: Option<ApprovalId>) -> ApprovalView {
        eventually_some("worklist was asked", DEADLINE, async || {
            let all = self.gateway.ask(&waiting()).await.ok()?;
            let mut all = all.items.into_iter();
            all.find(|one| Some(one.approval_id) == approval)
        })
        .await
    }

    async fn decide(
        &self,
        approval: ApprovalId,
        who: &str,
        verdict: Verdict,
    ) -> Result<(), Refusal> {
        self.gateway
            .ask(&DecideApproval {
                command_id: CommandId::generate(),
                approval_id: approval,
                verdict,
                reason: "looked through".to_owned(),
                person: person(who, "manager"),
            })
            .await
            .map(drop)
    }

    async fn until(&self, version: i32, state: EditionState) -> EditionView {
        eventually_some("the version comes so far", DEADLINE, async || {
            let edition = self.template(Some(version)).await.edition;
            (edition.state == state).then_some(edition)
        })
        .await
    }

    async fn propose(&self, title: &str, account: &str) -> RunView {
        let run = self
            .gateway
            .ask(&ProposeRun {
                kind: contracts::dunning::RunKind::Reminders,
                command_id: CommandId::generate(),
                as_of: None,
                title: title.to_owned(),
                scope: RunScope {
                    accounts: vec![account.to_owned()],
                    ..RunScope::default()
                },
                reason: "weekly".to_owned(),
                person: person("jo", "controller"),
            })
            .await
            .unwrap();
        self.run_until(&run, RunState::Proposed).await
    }

    async fn run_until(&self, run: &RunView, state: RunState) -> RunView {
        eventually_some("the run comes so far", DEADLINE, async || {
            let run = self.gateway.ask(&GetRun { run_id: run.run_id }).await;
            run.ok().filter(|run| run.state == state)
        })
        .await
    }

    async fn send(&self, run: &RunView) {
        let asked = self
            .gateway
            .ask(&StepRun {
                command_id: CommandId::generate(),
                run_id: run.run_id,
                version: None,
                step: RunStep::Request,
                reason: "as planned".to_owned(),
                person: person("jo", "controller"),
            })
            .await
            .unwrap();
        let approval = self.asked(asked.approval_id).await.approval_id;
        self.decide(approval, "max", Verdict::Approve)
            .await
            .unwrap();
        self.run_until(run, RunState::Sent).await;
    }

    /// The e-mail to an account, if one was sent.
    fn mail(&self, account: &str) -> String {
        let to = account.to_lowercase();
        let all = self.sink.messages().unwrap();
        let found: Vec<String> = all.into_iter().filter(|m| m.contains(&to)).collect();
        assert_eq!(found.len(), 1, "one e-mail to {account}");
        found[0].replace("=\r\n", "")
    }

    /// How often the outbox says an event.
    async fn told<E: Event>(&self) -> i64 {
        sqlx::query_scalar("select count(*) from dunning.outbox where subject like $1")
            .bind(format!("%.evt.dunning.{}.%", E::NAME))
            .fetch_one(self.suite.admin_pool())
            .await
            .unwrap()
    }
}

const BETTER: &str = "Dear {{ account.name }},\n\nA BETTER REMINDER: {{ total }} is overdue.\n\n\
                      [items]\n\n{{ sender.how_to_pay }}";

#[tokio::test]
async fn a_template_is_drafted_refused_fixed_published_by_another_and_taken_up_by_later_runs() {
    let office = Office::open().await;
    office.debtor("TPL01", AccountKind::Company, None).await;
    office.debtor("TPL02", AccountKind::Company, None).await;

    // The first run takes the version that is in force now.
    let early = office.propose("before", "TPL01").await;

    // An unknown name, and what such a letter must say, are told at their places.
    let body = BETTER.replace("total", "totl");
    let refused = office.draft("jo", &body).await.unwrap_err();
    assert_eq!(refused.code, "dunning.template_wrong");
    assert_eq!(refused.fields[0].pointer, "/body");
    assert!(
        refused.fields[0]
            .detail
            .starts_with("line 3: there is no `totl`"),
        "{refused:?}"
    );
    let claim = GetTemplate {
        template: "letter_of_claim".to_owned(),
        version: None,
    };
    let claim = office.gateway.ask(&claim).await.unwrap();
    let refused = office
        .gateway
        .ask(&DraftTemplate {
            command_id: CommandId::generate(),
            template: claim.template,
            title: claim.title,
            // A gentler name does not help: its stage is one of the Protocol.
            legal: "reminder".to_owned(),
            subject: claim.subject,
            body: claim.body.replace("30 days", "some days"),
            valid_from: None,
            reason: "shorter".to_owned(),
            person: person("jo", "controller"),
        })
        .await
        .unwrap_err();
    assert!(
        refused.fields[0].detail.contains("30 days to answer"),
        "{refused:?}"
    );
    assert_eq!(office.template(None).await.edition.version, 1);

    let drafted = office.draft("jo", BETTER).await.unwrap();
    assert_eq!((drafted.edition.version, drafted.against), (2, Some(1)));
    assert_eq!(drafted.edition.state, EditionState::Draft);
    assert!(
        drafted
            .body_diff
            .iter()
            .any(|p| p.kind == DiffKind::Added && p.text.contains("BETTER"))
    );

    // Tried on a real account, and nothing is kept of it.
    let preview = office
        .gateway
        .ask(&PreviewTemplate {
            template: "reminder".to_owned(),
            version: Some(2),
            account_ref: "TPL02".to_owned(),
        })
        .await
        .unwrap();
    assert!(
        preview
            .text
            .contains("A BETTER REMINDER: £100.00 is overdue.")
    );
    assert!(preview.html.contains("INV-TPL02") && !preview.letter_base64.is_empty());
    let contacts: i64 = sqlx::query_scalar("select count(*) from dunning.contact")
        .fetch_one(office.suite.admin_pool())
        .await
        .unwrap();
    assert_eq!(contacts, 0);

    // Only who wrote it asks; a newer draft voids the request.
    let template = EditionKind::Template;
    let refused = office
        .step(template, "reminder", 2, EditionStep::Request, "ann")
        .await
        .unwrap_err();
    assert_eq!(refused.code, "dunning.edition_not_yours");
    let first = office
        .step(template, "reminder", 2, EditionStep::Request, "jo")
        .await
        .unwrap();
    office.asked(first.approval_id).await;
    let newer = office
        .draft("jo", &format!("{BETTER}\n\nThank you."))
        .await
        .unwrap();
    assert_eq!(newer.edition.version, 3);
    assert_eq!(
        office.template(Some(2)).await.edition.state,
        EditionState::Superseded
    );
    eventually(
        "worklist gives the older request up",
        DEADLINE,
        async || {
            let all = office.gateway.ask(&waiting()).await.unwrap();
            all.items
                .iter()
                .all(|one| Some(one.approval_id) != first.approval_id)
        },
    )
    .await;

    let asked = office
        .step(template, "reminder", 3, EditionStep::Request, "jo")
        .await
        .unwrap();
    let approval = office.asked(asked.approval_id).await.approval_id;
    let own = office
        .decide(approval, "jo", Verdict::Approve)
        .await
        .unwrap_err();
    assert_eq!(own.code, "worklist.own_request");
    assert_eq!(office.told::<TemplatePublished>().await, 0);
    office
        .decide(approval, "max", Verdict::Approve)
        .await
        .unwrap();
    let published = office.until(3, EditionState::Published).await;
    assert_eq!(published.decided_by.as_deref(), Some("user:max"));
    assert!(published.in_force);
    assert_eq!(office.told::<TemplatePublished>().await, 1);
    let row = office.gateway.ask(&ListTemplates {}).await.unwrap();
    let row = row
        .items
        .into_iter()
        .find(|one| one.template == "reminder")
        .unwrap();
    assert_eq!(row.version, Some(3));

    // The frozen run keeps its words; the next one has the new ones.
    let late = office.propose("after", "TPL02").await;
    office.send(&early).await;
    office.send(&late).await;
    assert!(!office.mail("tpl01").contains("A BETTER REMINDER"));
    assert!(office.mail("tpl02").contains("A BETTER REMINDER"));
}

#[tokio::test]
async fn a_rejected_template_is_published_by_nobody() {
    let office = Office::open().await;
    office.draft("jo", BETTER).await.unwrap();
    let asked = office
        .step(
            EditionKind::Template,
            "reminder",
            2,
            EditionStep::Request,
            "jo",
        )
        .await
        .unwrap();
    let approval = office.asked(asked.approval_id).await.approval_id;
    office
        .decide(approval, "max", Verdict::Reject)
        .await
        .unwrap();
    office.until(2, EditionState::Rejected).await;
    assert_eq!(office.told::<TemplatePublished>().await, 0);
    let again = office
        .step(
            EditionKind::Template,
            "reminder",
            2,
            EditionStep::Request,
            "jo",
        )
        .await
        .unwrap_err();
    assert_eq!(again.code, "dunning.edition_not_draft");
    // What was rejected is drafted anew.
    assert_eq!(office.draft("jo", BETTER).await.unwrap().edition.version, 3);
}

#[tokio::test]
async fn a_policy_is_drafted_published_by_another_and_assigned_to_accounts_and_parents() {
    let office = Office::open().await;
    let one = office
        .debtor("POL01", AccountKind::Company, Some("GROUP"))
        .await;
    let other = office
        .debtor("POL02", AccountKind::Company, Some("GROUP"))
        .await;
    let human = office
        .debtor("POL03", AccountKind::Individual, Some("GROUP"))
        .await;
    assert_eq!(office.policy_of(one).await.as_deref(), Some("trade_credit"));
    assert_eq!(office.policy_of(human).await.as_deref(), Some("consumer"));

    let get = |version| GetDunningPolicy {
        policy: "trade_credit".to_owned(),
        version,
    };
    let known: DunningPolicyDetail = office.gateway.ask(&get(None)).await.unwrap();
    let draft = |text: String| DraftPolicy {
        command_id: CommandId::generate(),
        policy: "trade_credit".to_owned(),
        text,
        valid_from: Some("2026-03-02".parse().unwrap()),
        reason: "a day more".to_owned(),
        person: person("jo", "manager"),
    };
    let wrong = known
        .text
        .replace("template = \"call\"", "template = \"cal\"");
    let refused = office.gateway.ask(&draft(wrong)).await.unwrap_err();
    assert_eq!(refused.code, "dunning.policy_wrong");
    assert_eq!(refused.fields[0].pointer, "/text");
    assert!(
        refused.fields[0].detail.starts_with("line ")
            && refused.fields[0].detail.contains("stage[3].template"),
        "{refused:?}"
    );
    let text = known
        .text
        .replacen("days_past_due = 3", "days_past_due = 4", 1);
    let drafted = office.gateway.ask(&draft(text)).await.unwrap();
    assert_eq!(drafted.edition.version, 2);
    let added: Vec<_> = drafted
        .manual_diff
        .iter()
        .filter(|part| part.kind == DiffKind::Added)
        .map(|part| part.text.as_str())
        .collect();
    assert!(added.contains(&"4"), "{added:?}");

    let policy = EditionKind::Policy;
    let asked = office
        .step(policy, "trade_credit", 2, EditionStep::Request, "jo")
        .await
        .unwrap();
    let approval = office.asked(asked.approval_id).await.approval_id;
    assert!(
        office
            .decide(approval, "jo", Verdict::Approve)
            .await
            .is_err()
    );
    office
        .decide(approval, "max", Verdict::Approve)
        .await
        .unwrap();
    eventually("the policy is published", DEADLINE, async || {
        let shown = office.gateway.ask(&get(Some(2))).await.unwrap();
        shown.edition.in_force
    })
    .await;
    assert_eq!(office.told::<PolicyPublished>().await, 1);

    // The account goes before its parent; who is no company keeps their own. One
    // person asks, another says yes; nobody their own.
    let assign = |to, reference: &str, policy: Option<&str>| AssignPolicy {
        command_id: CommandId::generate(),
        to,
        reference: reference.to_owned(),
        policy: policy.map(str::to_owned),
        valid_from: None,
        reason: "the group asked".to_owned(),
        person: person("jo", "manager"),
    };
    let parent = assign(AssignTo::Parent, "GROUP", Some("broker"));
    let asked = office.gateway.ask(&parent).await.unwrap();
    assert_eq!(asked.state, AssignmentState::Requested);
    assert_eq!(office.gateway.ask(&parent).await.unwrap(), asked);
    let approval = office.asked(asked.approval_id).await.approval_id;
    assert!(
        office
            .decide(approval, "jo", Verdict::Approve)
            .await
            .is_err()
    );
    assert_ne!(office.policy_of(one).await.as_deref(), Some("broker"));
    office
        .decide(approval, "max", Verdict::Approve)
        .await
        .unwrap();
    office.comes_to(one, "broker").await;
    let own = assign(AssignTo::Account, "POL02", Some("legal_file"));
    office.assigned(&own, Verdict::Reject).await;
    let refused = office.assignment("POL02").await.unwrap();
    assert_eq!(refused.state, AssignmentState::Rejected);
    assert_eq!(refused.decided_by.as_deref(), Some("user:max"));
    assert_eq!(office.policy_of(other).await.as_deref(), Some("broker"));
    // Asked for anew, the older request is void.
    let own = assign(AssignTo::Account, "POL02", Some("legal_file"));
    let older = office.gateway.ask(&own).await.unwrap();
    office.asked(older.approval_id).await;
    let own = assign(AssignTo::Account, "POL02", Some("legal_file"));
    office.assigned(&own, Verdict::Approve).await;
    office.comes_to(other, "legal_file").await;
    let late = office
        .decide(older.approval_id.unwrap(), "max", Verdict::Approve)
        .await;
    assert!(late.is_err());
    assert_eq!(office.told::<PolicyAssigned>().await, 2);
    assert_eq!(office.policy_of(human).await.as_deref(), Some("consumer"));
    let refused = office
        .gateway
        .ask(&assign(AssignTo::Account, "POL03", Some("broker")))
        .await
        .unwrap_err();
    assert_eq!(refused.fields[0].pointer, "/policy");
    let back = assign(AssignTo::Account, "POL02", None);
    office.assigned(&back, Verdict::Approve).await;
    office.comes_to(other, "broker").await;
}

/// What a policy posts by itself, and charges for a reminder: after the letter,
/// once, as items of their own on the ledger; and taken back when the debtor was
/// right not to pay (E68).
#[tokio::test]
async fn a_policy_that_posts_claims_and_charges_for_a_reminder_does_so_once() {
    let office = Office::open().await;
    let debtor = office.debtor("CHG01", AccountKind::Company, None).await;
    let get = GetDunningPolicy {
        policy: "trade_credit".to_owned(),
        version: None,
    };
    let known = office.gateway.ask(&get).await.unwrap();
    let text = known.text.replace("post = false", "post = true").replacen(
        "code = \"reminder\"",
        "charge = { GBP = \"12.00\" }\ncode = \"reminder\"",
        1,
    );
    let drafted = office
        .gateway
        .ask(&DraftPolicy {
            command_id: CommandId::generate(),
            policy: "trade_credit".to_owned(),
            text,
            valid_from: Some("2026-03-02".parse().unwrap()),
            reason: "they are warned in our terms".to_owned(),
            person: person("jo", "manager"),
        })
        .await
        .unwrap();
    assert!(
        drafted
            .manual
            .iter()
            .any(|p| p.contains("it costs the debtor 12.00 GBP"))
    );
    let asked = office
        .step(
            EditionKind::Policy,
            "trade_credit",
            2,
            EditionStep::Request,
            "jo",
        )
        .await
        .unwrap();
    let approval = office.asked(asked.approval_id).await.approval_id;
    office
        .decide(approval, "max", Verdict::Approve)
        .await
        .unwrap();
    eventually("the policy is published", DEADLINE, async || {
        let shown = office.gateway.ask(&get).await.unwrap();
        shown.edition.in_force
    })
    .await;

    let run = office.propose("with claims", "CHG01").await;
    office.send(&run).await;
    let late = GetLatePayment {
        account_id: debtor,
        until: None,
    };
    let charges = eventually_some("the claims are posted", DEADLINE, async || {
        let charges = office.gateway.ask(&late).await.unwrap().charges;
        (charges.len() == 3).then_some(charges)
    })
    .await;
    let mut posted: Vec<_> = charges
        .iter()
        .map(|c| {
            (
                c.kind,
                c.amount.amount().to_string(),
                c.document_ref.as_str(),
            )
        })
        .collect();
    posted.sort();
    // 30 days at 11.75 %; the fixed sum of a debt below 1,000 pounds.
    assert_eq!(
        posted,
        [
            (ChargeKind::Interest, "0.97".to_owned(), "INV-CHG01"),
            (ChargeKind::Compensation, "40.00".to_owned(), "INV-CHG01"),
            (ChargeKind::Fee, "12.00".to_owned(), "INV-CHG01"),
        ]
    );
    let statement = GetStatement {
        account_id: debtor,
        red: false,
        as_at: None,
    };
    eventually("each is an item of its own", DEADLINE, async || {
        let statement = office.gateway.ask(&statement).await.unwrap();
        statement.lines.len() == 4
    })
    .await;

    // Asked again by a crash between: the same contact makes nothing more due.
    sqlx::query("insert into dunning.charge_due select contact_id from dunning.contact")
        .execute(office.suite.admin_pool())
        .await
        .unwrap();
    eventually("it was looked at again", DEADLINE, async || {
        let left: i64 = sqlx::query_scalar("select count(*) from dunning.charge_due")
            .fetch_one(office.suite.admin_pool())
            .await
            .unwrap();
        left == 0
    })
    .await;
    assert_eq!(office.gateway.ask(&late).await.unwrap().charges.len(), 3);

    // Two invoices in one letter cost one fee (E68).
    let second = document("INV-CHG02-B", "CHG02", "50.00");
    let shared = office.debtor("CHG02", AccountKind::Company, None).await;
    office.suite.publish_document("INV-CHG02-B", &second).await;
    let both = GetStanding { account_id: shared };
    let items = eventually_some("dunning knows both", DEADLINE, async || {
        let items = office.gateway.ask(&both).await.unwrap().items;
        (items.len() == 2).then_some(items)
    })
    .await;
    let run = office.propose("again", "CHG02").await;
    office.send(&run).await;
    let of_shared = GetLatePayment {
        account_id: shared,
        until: None,
    };
    eventually("the claims of both are posted", DEADLINE, async || {
        let charges = office.gateway.ask(&of_shared).await.unwrap().charges;
        charges.len() == 5
    })
    .await;

    // Both debtors were right about their first invoice. What the letter about two
    // of them cost stays, since the other was owed.
    let alone = GetStanding { account_id: debtor };
    let alone = office.gateway.ask(&alone).await.unwrap().items;
    let first = |items: &[ItemStanding], document_ref: &str| {
        let found = items.iter().find(|item| item.document_ref == document_ref);
        found.unwrap().clone()
    };
    // The first is told twice.
    for (n, account, item) in [
        (1, debtor, first(&alone, "INV-CHG01")),
        (1, debtor, first(&alone, "INV-CHG01")),
        (2, shared, first(&items, "INV-CHG02")),
    ] {
        let case = upheld(n, account, &item);
        office.suite.publish_event(&case).await;
    }
    let standing = async |ask: &GetLatePayment| {
        let charges = office.gateway.ask(ask).await.unwrap().charges;
        let posted = charges.iter().filter(|c| c.state == ChargeState::Posted);
        let mut left: Vec<_> = posted.map(|c| (c.kind, c.document_ref.clone())).collect();
        left.sort();
        left
    };
    eventually(
        "nothing stands of what was upheld alone",
        DEADLINE,
        async || standing(&late).await.is_empty(),
    )
    .await;
    eventually(
        "the other invoice and the fee stand",
        DEADLINE,
        async || {
            let other = |kind| (kind, "INV-CHG02-B".to_owned());
            standing(&of_shared).await
                == [
                    other(ChargeKind::Interest),
                    other(ChargeKind::Compensation),
                    (ChargeKind::Fee, "INV-CHG02".to_owned()),
                ]
        },
    )
    .await;
    let told: Vec<(i64, i64)> = sqlx::query_as(
        "select version, count(*) from dunning.charge group by version order by version",
    )
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(
        told,
        [(1, 3), (2, 5)],
        "three stand, five were taken back once"
    );
}

/// A query about all of a document in which the debtor was right.
fn upheld(n: u128, account_id: AccountId, item: &ItemStanding) -> CaseChanged {
    let nothing = Money::zero(item.open.currency());
    let at = "2026-03-03T09:00:00Z".parse().unwrap();
    CaseChanged {
        case_id: CaseId::from(uuid::Uuid::from_u128(n)),
        version: 1,
        case_ref: format!("Q-00000{n}"),
        kind: CaseKind::Dispute,
        state: CaseState::Resolved,
        from: Some(CaseState::Assigned),
        step: "resolved".into(),
        account_id,
        account_ref: "CHG".into(),
        items: vec![CaseItem {
            document_id: item.document_id,
            document_ref: item.document_ref.clone(),
            due_on: item.due_on,
            original: item.open,
            disputed: item.open,
            paid: nothing,
            credited: nothing,
            cleared: nothing,
            written_off: nothing,
        }],
        disputed: item.open,
        reason_code: Some("price".into()),
        coordinator: None,
        processor: None,
        responsible: None,
        department: None,
        resolution: Some(Resolution::Upheld),
        raised_at: at,
        since: at,
        related: None,
        cause: None,
        recorded_at: at,
        actor: "user:jo".into(),
        reason: "they were right".into(),
    }
}
