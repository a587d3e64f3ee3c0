//! What worklist says happened: `counterfoil.evt.worklist.>`, and what
//! dashboards listen to: `counterfoil.sla.<warning|breached>.<kind>`.
