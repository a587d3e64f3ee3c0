//! What people wrote about somebody is erased; rows, states and times stay.

use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::consume::Erased;

/// Kinds of work whose detail has words of a contact.
const CONTACTS: [&str; 5] = [
    "call_due",
    "contact_unknown",
    "reply_to_read",
    "follow_up",
    "debtor_to_trace",
];

/// Takes out notes and reasons of work about these, and of contacts what the work
/// is about in words. The reasons of what happened by itself are none of
/// anybody's words.
pub(crate) async fn erase(conn: &mut PgConnection, erased: &[Erased]) -> Result<(), Failure> {
    if erased.is_empty() {
        return Ok(());
    }
    let (mut subjects, mut accounts): (Vec<Uuid>, Vec<Uuid>) = (Vec::new(), Vec::new());
    for one in erased {
        match one {
            Erased::About(subject) => subjects.push(*subject),
            Erased::SaidWith(account) => accounts.push(*account),
        }
    }
    let contacts: Vec<String> = CONTACTS.map(str::to_owned).to_vec();
    let items = sqlx::query_scalar!(
        "update worklist.work_item set
           detail = case when kind = any($3) then 'erased' else detail end,
           outcome_note = case when outcome_note is null then null else 'erased' end,
           no_next_reason = case when no_next_reason is null then null else 'erased' end,
           back_reason = case when back_reason is null then null else 'erased' end,
           by_hand_reason = case when by_hand_reason is null then null else 'erased' end,
           parts = (select coalesce(jsonb_agg(case when p.part ->> 'part' = 'by_hand'
               then p.part || '{\"why\": \"erased\"}' else p.part end order by p.place), '[]')
             from jsonb_array_elements(parts) with ordinality p (part, place))
         where subject_id = any($1) or related_id = any($1) or (account_id = any($2) and kind = any($3))
         returning work_item_id",
        &subjects,
        &accounts,
        &contacts
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "update worklist.work_step set reason = 'erased'
         where work_item_id = any($1) and actor not like 'system:%' and reason not in ('', 'erased')",
        &items
    )
    .execute(conn)
    .await?;
    Ok(())
}
