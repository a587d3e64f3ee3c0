//! Who owes: five worlds of debtors with invented names. Telephone numbers are from the ranges kept for drama,
//! e-mail domains end in `.example`, and no bank has sort codes that begin with 00: nobody can be reached by mistake.

use std::collections::BTreeSet;

use contracts::inbound::{AccountKind, BankAccountRef, BillingAccount};

use super::rng::Rng;

/// The five kinds of ledger that the demo shows side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum World {
    /// A law firm's files: insurers and clients who owe costs and disbursements.
    Legal,
    /// An insurance agency that collects premiums for its principals.
    Insurance,
    Broker,
    Trade,
    /// A council's sundry debt, per service department.
    Council,
}

impl World {
    pub(super) const ALL: [Self; 5] = [
        Self::Legal,
        Self::Insurance,
        Self::Broker,
        Self::Trade,
        Self::Council,
    ];

    pub(super) const fn segment(self) -> &'static str {
        match self {
            Self::Legal => "legal",
            Self::Insurance => "insurance",
            Self::Broker => "broker",
            Self::Trade => "trade",
            Self::Council => "council",
        }
    }

    const fn account_prefix(self) -> &'static str {
        match self {
            Self::Legal => "LEG",
            Self::Insurance => "INS",
            Self::Broker => "BRO",
            Self::Trade => "TRD",
            Self::Council => "COU",
        }
    }

    pub(super) const fn accounts(self) -> usize {
        match self {
            Self::Legal | Self::Broker => 60,
            Self::Insurance => 45,
            Self::Trade => 85,
            Self::Council => 50,
        }
    }

    /// Companies, sole traders and public bodies in percent; the rest are individuals.
    const fn kinds(self) -> [usize; 3] {
        match self {
            Self::Legal => [60, 0, 10],
            Self::Insurance => [85, 15, 0],
            Self::Broker => [55, 20, 0],
            Self::Trade => [80, 20, 0],
            Self::Council => [24, 8, 8],
        }
    }

    const fn terms(self) -> &'static [u16] {
        match self {
            Self::Legal => &[14, 21, 30],
            Self::Insurance => &[30, 45, 60],
            Self::Broker => &[14, 30],
            Self::Trade => &[30, 30, 60],
            Self::Council => &[14, 28, 30],
        }
    }

    const fn departments(self) -> &'static [&'static str] {
        match self {
            Self::Legal => &[
                "Road Traffic",
                "Employers' Liability",
                "Public Liability",
                "Private Client",
            ],
            Self::Insurance => &["Motor Fleet", "Property", "Liability", "Marine"],
            Self::Broker => &["Commercial Lines", "Personal Lines", "Schemes"],
            Self::Trade => &["North", "Midlands", "South", "Scotland"],
            Self::Council => &[
                "Adult Social Care",
                "Temporary Accommodation",
                "Commercial Property",
                "Trade Waste",
                "Highways",
                "Licensing",
            ],
        }
    }

    /// What its companies do.
    const fn trades(self) -> &'static [&'static str] {
        match self {
            Self::Legal => &[
                "Mutual Insurance plc",
                "Motor Insurance Ltd",
                "Indemnity Ltd",
                "Claims Handling Ltd",
                "Car Hire Ltd",
            ],
            Self::Insurance => &[
                "Haulage Ltd",
                "Coaches Ltd",
                "Care Homes Ltd",
                "Hotels Ltd",
                "Scaffolding Ltd",
                "Marine Ltd",
            ],
            Self::Broker => &[
                "Developments Ltd",
                "Dental Practice Ltd",
                "Lettings Ltd",
                "Farms LLP",
                "Recruitment Ltd",
                "Theatre Company Ltd",
            ],
            Self::Trade => &[
                "Fasteners Ltd",
                "Timber Merchants Ltd",
                "Catering Supplies Ltd",
                "Precision Engineering Ltd",
                "Packaging Ltd",
                "Joinery Ltd",
                "Electrical Wholesale Ltd",
                "& Daughters Ltd",
            ],
            Self::Council => &[
                "Cafe Ltd",
                "Tyres Ltd",
                "Nurseries Ltd",
                "Skips Ltd",
                "Taxis Ltd",
            ],
        }
    }
}

const PLACES: [&str; 40] = [
    "Ashcombe",
    "Brackendale",
    "Calderstone",
    "Dunmore",
    "Ellerby",
    "Fenwick",
    "Garstang",
    "Hathersage",
    "Ilminster",
    "Kestrel Vale",
    "Larkhill",
    "Marlowe",
    "Netherby",
    "Oakhanger",
    "Penhallow",
    "Quernmore",
    "Ravensworth",
    "Silverdale",
    "Thornaby",
    "Ullscarf",
    "Venn Valley",
    "Wharfeside",
    "Yarrow",
    "Zennor",
    "Aldwark",
    "Birkrigg",
    "Coldharbour",
    "Drumlanrig",
    "Eskdale",
    "Foxcote",
    "Glenlair",
    "Harrowgate Hill",
    "Inverarish",
    "Kelmarsh",
    "Linthwaite",
    "Mossbank",
    "Northmoor",
    "Ottermouth",
    "Pendeen",
    "Roxwell",
];
const FIRST_NAMES: [&str; 30] = [
    "Aisha", "Alan", "Bronwen", "Callum", "Chidi", "Dawn", "Deepak", "Eilidh", "Fiona", "Gareth",
    "Grace", "Hamish", "Imran", "Janet", "Joanna", "Kwame", "Leanne", "Margaret", "Mohammed",
    "Niamh", "Owen", "Patricia", "Priya", "Rhys", "Ruth", "Sanjay", "Siobhan", "Tomasz", "Wendy",
    "Yusuf",
];
const SURNAMES: [&str; 36] = [
    "Ahmed",
    "Baxter",
    "Begum",
    "Campbell",
    "Chaudhry",
    "Clegg",
    "Davies",
    "Entwistle",
    "Fairclough",
    "Grewal",
    "Hargreaves",
    "Hussain",
    "Idowu",
    "Jenkins",
    "Kaur",
    "Kowalski",
    "Llewellyn",
    "MacLeod",
    "McAllister",
    "Mistry",
    "Nwosu",
    "O'Neill",
    "Okafor",
    "Patel",
    "Pickersgill",
    "Postlethwaite",
    "Quinn",
    "Ramsbottom",
    "Rees",
    "Sharma",
    "Singh",
    "Tomlinson",
    "Treloar",
    "Whitaker",
    "Wrigley",
    "Yeo",
];
const CRAFTS: [&str; 8] = [
    "Roofing",
    "Plumbing",
    "Garage",
    "Landscapes",
    "Mobile Catering",
    "Decorating",
    "Carpentry",
    "Couriers",
];
const PUBLIC_BODIES: [&str; 6] = [
    "NHS Foundation Trust",
    "Borough Council",
    "Academy Trust",
    "Fire and Rescue Authority",
    "County Council",
    "Housing Association",
];
const PRINCIPALS: [&str; 5] = [
    "Wessex Commercial",
    "Border & Coast",
    "Tamar Specialty",
    "Old Dock Underwriting",
    "Calder Marine",
];
const STREETS: [&str; 12] = [
    "Mill Lane",
    "Station Road",
    "Canal Street",
    "Church Walk",
    "Victoria Terrace",
    "The Green",
    "Foundry Way",
    "Chapel Hill",
    "Weavers Court",
    "Quayside",
    "Park View",
    "Tannery Row",
];
/// Post town, postcode district, and the telephone numbers that are kept for drama there.
const TOWNS: [(&str, &str, &str); 8] = [
    ("Leeds", "LS1", "0113 496 0"),
    ("Sheffield", "S1", "0114 496 0"),
    ("Manchester", "M2", "0161 496 0"),
    ("Birmingham", "B3", "0121 496 0"),
    ("Bristol", "BS1", "0117 496 0"),
    ("Cardiff", "CF10", "029 2018 0"),
    ("Glasgow", "G2", "0141 496 0"),
    ("Reading", "RG1", "0118 496 0"),
];

/// A debtor, and how money comes from him.
#[derive(Debug)]
pub(super) struct Debtor {
    pub(super) account: BillingAccount,
    pub(super) world: World,
    /// The account that he pays from.
    pub(super) bank: BankAccountRef,
    /// Pays late, and often not at all.
    pub(super) slow: bool,
}

/// All debtors, world by world.
pub(super) fn debtors(rng: &mut Rng) -> Vec<Debtor> {
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for world in World::ALL {
        for number in 1..=world.accounts() {
            all.push(debtor(world, number, &mut names, rng));
        }
        if world == World::Trade {
            join_groups(&mut all, rng);
        }
    }
    all
}

fn debtor(world: World, number: usize, names: &mut BTreeSet<String>, rng: &mut Rng) -> Debtor {
    // Spread by number and not by chance, so that even a small world has some of each.
    let place = (number - 1) * 100 / world.accounts();
    let [companies, sole_traders, public_bodies] = world.kinds();
    let kind = if place < companies {
        AccountKind::Company
    } else if place < companies + sole_traders {
        AccountKind::SoleTrader
    } else if place < companies + sole_traders + public_bodies {
        AccountKind::PublicBody
    } else {
        AccountKind::Individual
    };
    let mut name = name_of(world, kind, rng);
    while !names.insert(name.clone()) {
        name = name_of(world, kind, rng);
    }
    let (town, district, telephone) = rng.pick(&TOWNS);
    let mailbox: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == ' ')
        .collect::<String>()
        .to_lowercase();
    let account = BillingAccount {
        account_ref: format!("{}{number:03}", world.account_prefix()),
        kind,
        parent_ref: None,
        terms_days: Some(rng.pick(world.terms())),
        currency: "GBP".into(),
        email: Some(format!(
            "accounts@{}.example",
            mailbox.split_whitespace().collect::<Vec<_>>().join("-")
        )),
        phone: Some(format!("{telephone}{:03}", rng.below(1000))),
        address: Some(format!(
            "{} {}, {town} {district} {}{}{}",
            rng.between(1, 180),
            rng.pick(&STREETS),
            rng.between(1, 9),
            rng.pick(&["A", "D", "H", "L", "R"]),
            rng.pick(&["B", "E", "J", "P", "T"]),
        )),
        segment: Some(world.segment().into()),
        department: Some(rng.pick(world.departments()).into()),
        principal: (world == World::Insurance).then(|| rng.pick(&PRINCIPALS).into()),
        debtors: None,
        name,
    };
    let bank = BankAccountRef {
        sort_code: Some(format!(
            "00-{:02}-{:02}",
            rng.between(10, 99),
            rng.below(100)
        )),
        account_number: Some(format!("{:08}", rng.between(10_000_000, 99_999_999))),
        iban: None,
    };
    Debtor {
        account,
        world,
        bank,
        slow: rng.percent(12),
    }
}

fn name_of(world: World, kind: AccountKind, rng: &mut Rng) -> String {
    match kind {
        AccountKind::Company => format!("{} {}", rng.pick(&PLACES), rng.pick(world.trades())),
        AccountKind::PublicBody => format!("{} {}", rng.pick(&PLACES), rng.pick(&PUBLIC_BODIES)),
        AccountKind::SoleTrader => {
            let surname = rng.pick(&SURNAMES);
            format!(
                "{} {surname} t/a {surname} {}",
                rng.pick(&FIRST_NAMES),
                rng.pick(&CRAFTS)
            )
        }
        AccountKind::Individual => format!("{} {}", rng.pick(&FIRST_NAMES), rng.pick(&SURNAMES)),
    }
}

/// Some trade customers belong to a group: their parent is the first company of the world's every tenth.
fn join_groups(all: &mut [Debtor], rng: &mut Rng) {
    let companies: Vec<usize> = (0..all.len())
        .filter(|index| {
            all[*index].world == World::Trade && all[*index].account.kind == AccountKind::Company
        })
        .collect();
    for group in companies.chunks(10) {
        let [parent, children @ ..] = group else {
            continue;
        };
        let parent = all[*parent].account.account_ref.clone();
        for child in children.iter().take(rng.between(1, 3) as usize) {
            all[*child].account.parent_ref = Some(parent.clone());
        }
    }
}
