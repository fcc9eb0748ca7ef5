//! What is published, who is to be called for it, and what has to have come of it in the end.

use serde_json::{Value, json};

/// A type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Goes to the CRM and to the mailer.
    Update,
    /// Goes to the CRM, by another handler but in the same lane, and to the ledger where there is one.
    Balance,
    /// Has no handler.
    Archive,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Update, Self::Balance, Self::Archive];

    /// The type of an object's event number `n`: one in ten has no handler, the others take turns in an uneven way.
    pub(crate) fn of(n: u64) -> Self {
        match n % 10 {
            0 | 1 | 4 | 6 | 9 => Self::Update,
            2 | 3 | 5 | 8 => Self::Balance,
            _ => Self::Archive,
        }
    }

    /// Its id in the catalogue.
    pub(crate) fn events_id(self) -> &'static str {
        match self {
            Self::Update => "clients.update",
            Self::Balance => "clients.balance_zero",
            Self::Archive => "clients.archive",
        }
    }
}

/// A lane: whom it leads to. Events of one object arrive there in the order of their publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    /// Two handlers of two event types share it.
    Crm,
    /// Fails now and then, and refuses some events for good.
    Mail,
    /// A script.
    Ledger,
    /// Answers in every way that a receiver should not.
    Rough,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Crm, Self::Mail, Self::Ledger, Self::Rough];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crm => "crm",
            Self::Mail => "mail",
            Self::Ledger => "ledger",
            Self::Rough => "rough",
        }
    }

    /// The path of the receiver that an HTTP lane leads to.
    pub(crate) fn path(self) -> String {
        format!("/{}", self.name())
    }

    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| path.strip_prefix('/') == Some(lane.name()))
    }
}

/// The script of the ledger, under the script root.
pub(crate) const LEDGER_SCRIPT: &str = "ledger.sh";

/// The handlers of a run.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    lanes: Vec<(Kind, Lane)>,
    /// The file that the ledger's script writes.
    pub ledger: Option<String>,
}

impl Workload {
    /// Three HTTP handlers of two event types; two share a lane, one fails at random.
    pub(crate) fn standard() -> Self {
        let lanes = vec![(Kind::Update, Lane::Crm), (Kind::Balance, Lane::Crm), (Kind::Update, Lane::Mail)];
        Self { lanes, ledger: None }
    }

    /// Those of them that lead to the CRM, where nothing fails.
    pub(crate) fn crm() -> Self {
        let mut workload = Self::standard();
        workload.lanes.retain(|(_, lane)| *lane == Lane::Crm);
        workload
    }

    /// The standard ones and a script, which writes what it gets to this file.
    pub(crate) fn with_ledger(file: &str) -> Self {
        let mut workload = Self::standard();
        workload.lanes.push((Kind::Balance, Lane::Ledger));
        workload.ledger = Some(file.to_owned());
        workload
    }

    /// The standard ones and a receiver with bad manners.
    pub(crate) fn with_rough() -> Self {
        let mut workload = Self::standard();
        workload.lanes.push((Kind::Balance, Lane::Rough));
        workload
    }

    /// Where an event of this type has to arrive.
    pub(crate) fn lanes_of(&self, kind: Kind) -> impl Iterator<Item = Lane> {
        self.lanes.iter().filter(move |(of, _)| *of == kind).map(|(_, lane)| *lane)
    }

    /// Which lanes there are.
    pub(crate) fn has(&self, lane: Lane) -> bool {
        self.lanes.iter().any(|(_, of)| *of == lane)
    }

    /// The handlers as the API takes them; `receiver` is scheme, host and port.
    pub(crate) fn handlers(&self, receiver: &str) -> Vec<Value> {
        self.lanes.iter().map(|(kind, lane)| self.handler(*kind, *lane, receiver)).collect()
    }

    fn handler(&self, kind: Kind, lane: Lane, receiver: &str) -> Value {
        let task = match lane {
            Lane::Ledger => json!({"type": "script", "path": LEDGER_SCRIPT, "args": self.ledger.iter().collect::<Vec<_>>()}),
            _ => json!({"type": "http", "url": format!("{receiver}{}", lane.path())}),
        };
        json!({
            "name": format!("{} of {}", lane.name(), kind.events_id()),
            "event": kind.events_id(),
            "task": task,
            "lane": lane.name(),
            "priority": if lane == Lane::Crm { 10 } else { 20 },
            "timeout_ms": if lane == Lane::Rough { 2500 } else { 30_000 },
            // Enough to outlive every fault, and soon enough not to look like one.
            "retry": {"max_attempts": 1000, "first_delay_ms": 150, "max_delay_ms": 300},
        })
    }
}

/// Whether the mailer refuses this event for good: one in a hundred of those that it gets.
pub(crate) fn is_refused(object: u64, n: u64) -> bool {
    Kind::of(n) == Kind::Update && (object.wrapping_mul(31).wrapping_add(n)).is_multiple_of(100)
}

/// The body of a publication.
pub(crate) fn body(object: u64, n: u64) -> String {
    let mut data = json!({"n": n, "id": object, "name": "Northwind Traders", "balance": "-12.50", "currency": "EUR"});
    if is_refused(object, n) {
        data["refuse"] = true.into();
    }
    json!({"event": {"events_id": Kind::of(n).events_id(), "object_id": object}, "data": data}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_and_some_refusals_occur() {
        let share = |kind| (0..1000).filter(|n| Kind::of(*n) == kind).count();
        assert_eq!(Kind::ALL.map(share), [500, 400, 100]);
        let refused = (0..100).flat_map(|object| (0..100).map(move |n| (object, n))).filter(|(o, n)| is_refused(*o, *n)).count();
        assert_eq!(refused, 50);
    }

    #[test]
    fn lanes_are_found_by_their_paths() {
        assert_eq!(Lane::of_path("/crm"), Some(Lane::Crm));
        assert_eq!(Lane::of_path("crm"), None);
        assert_eq!(Workload::standard().lanes_of(Kind::Update).collect::<Vec<_>>(), [Lane::Crm, Lane::Mail]);
        assert_eq!(Workload::standard().lanes_of(Kind::Archive).count(), 0);
        assert!(Workload::with_rough().has(Lane::Rough) && !Workload::standard().has(Lane::Ledger));
    }

    #[test]
    fn handlers_that_share_a_lane_say_so() {
        let handlers = Workload::standard().handlers("http://127.0.0.1:1");
        let lanes: Vec<_> = handlers.iter().map(|handler| handler["lane"].as_str().unwrap()).collect();
        assert_eq!(lanes, ["crm", "crm", "mail"]);
        assert_eq!(handlers[0]["task"]["url"], "http://127.0.0.1:1/crm");
    }
}
