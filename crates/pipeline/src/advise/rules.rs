//! What is known before anything is piloted, as tables: which entry of a zoo suits which data and why ([`RULES`]), how
//! an entry is trained ([`WAYS`]), and how long, by how much data there is ([`VOLUMES`]). Rules give the order in which
//! pilots are run and a sentence of reason; they choose nothing. An entry that no rule knows is piloted like the others.

use super::fingerprint::Traits;

/// Something that is known of one entry on data of some kind.
pub(super) struct Rule {
    /// The entry's name, in whatever zoo it stands.
    pub(super) entry: &'static str,
    /// On which data it holds.
    pub(super) when: When,
    /// What it adds to the entry's prior.
    pub(super) points: i32,
    /// Why, as the end of a sentence.
    pub(super) because: &'static str,
}

/// A condition on the data.
#[derive(Clone, Copy)]
pub(super) enum When {
    /// On all data.
    Always,
    /// With fewer training and validation rows than this.
    RowsBelow(usize),
    /// With at least so many.
    RowsFrom(usize),
    /// With more than so many features for each row.
    WiderThan(f64),
    /// With pictures whose shorter side has fewer pixels than this.
    SideBelow(usize),
    /// With pictures whose shorter side has at least so many.
    SideFrom(usize),
    /// With coloured pictures.
    Coloured,
    /// With series of at least so many steps.
    StepsFrom(usize),
    /// With series of at least so many dimensions.
    DimensionsFrom(usize),
}

impl When {
    /// Whether the condition holds.
    pub(super) fn holds(self, traits: &Traits) -> bool {
        match self {
            When::Always => true,
            When::RowsBelow(rows) => traits.rows < rows,
            When::RowsFrom(rows) => traits.rows >= rows,
            When::WiderThan(share) => traits.inputs as f64 > share * traits.rows as f64,
            When::SideBelow(side) => traits.side.is_some_and(|own| own < side),
            When::SideFrom(side) => traits.side.is_some_and(|own| own >= side),
            When::Coloured => traits.channels == Some(3),
            When::StepsFrom(steps) => traits.steps.is_some_and(|own| own >= steps),
            When::DimensionsFrom(count) => traits.dimensions.is_some_and(|own| own >= count),
        }
    }
}

const fn rule(entry: &'static str, when: When, points: i32, because: &'static str) -> Rule {
    Rule { entry, when, points, because }
}

/// What is known. Sources: Grinsztajn and others 2022 and Gorishniy and others 2021 on tables, Fawaz and others 2020 on
/// series, Dosovitskiy and others 2021 on vision transformers.
pub(super) const RULES: &[Rule] = &[
    rule("boosting", When::Always, 30, "on tables boosted trees win most comparisons, in seconds"),
    rule("boosting", When::RowsBelow(1_000), -10, "with few rows trees fit chance, and smooth models catch up"),
    rule("mlp", When::Always, 15, "a small dense network is a sound choice for any table"),
    rule("mlp-large", When::RowsBelow(2_000), 2, "it has more weights than so few rows call for"),
    rule("mlp-large", When::RowsFrom(2_000), 16, "there are rows enough for its 256 units"),
    rule("residual-mlp", When::RowsBelow(2_000), 4, "its depth pays with more rows than these"),
    rule("residual-mlp", When::RowsFrom(2_000), 18, "with thousands of rows its depth pays"),
    rule("ft-transformer", When::RowsBelow(5_000), 3, "attention between features needs more rows than these"),
    rule("ft-transformer", When::RowsFrom(5_000), 17, "with thousands of rows attention between features pays"),
    rule("ft-transformer", When::WiderThan(0.05), -5, "its cost grows with the square of the features"),
    rule("linear", When::RowsBelow(1_000), 18, "with few rows a linear model has little to fit chance with"),
    rule("linear", When::WiderThan(0.05), 6, "there are many features for the rows, which asks for few weights"),
    rule("linear", When::RowsFrom(1_000), 1, "it is the baseline that others must beat"),
    rule("worked-example", When::SideBelow(33), 16, "one convolution sees enough of so small a picture"),
    rule("worked-example", When::SideFrom(33), 4, "one convolution sees little of a larger picture"),
    rule("small-cnn", When::SideBelow(65), 20, "four convolutions with batch norm suit small pictures"),
    rule("small-cnn", When::SideFrom(65), 8, "its dense layer grows with the picture"),
    rule("lenet5", When::Always, 8, "it was made for digits and is small"),
    rule("resnet8", When::Always, 17, "shortcuts let it train well, and it is small"),
    rule("resnet14", When::RowsBelow(5_000), 12, "it is deeper than so few pictures call for"),
    rule("resnet14", When::RowsFrom(5_000), 19, "there are pictures enough for its depth"),
    rule("resnet18", When::RowsBelow(20_000), 2, "11 million weights are many for so few pictures"),
    rule("resnet18", When::RowsFrom(20_000), 14, "there are pictures enough for 11 million weights"),
    rule("resnet18", When::Coloured, 4, "it was made for coloured pictures"),
    rule("resnet18", When::SideBelow(33), -6, "it was made for larger pictures"),
    rule("mobilenet-v2", When::SideFrom(65), 14, "it was made for larger pictures, and is fast when served"),
    rule("mobilenet-v2", When::SideBelow(65), 0, "it was made for larger pictures"),
    rule("vit-small", When::RowsBelow(50_000), -8, "a vision transformer needs far more pictures than convolutions do"),
    rule("vit-small", When::RowsFrom(50_000), 10, "there are pictures enough for a vision transformer"),
    rule("inception", When::Always, 22, "InceptionTime is the most accurate network on the UCR archive"),
    rule("fcn", When::Always, 18, "three convolutions do well on most series of the UCR archive"),
    rule("fcn", When::RowsBelow(200), 3, "with few series the smaller network has less to fit chance with"),
    rule("lstm", When::Always, 4, "it reads a series step by step, which is slow to learn"),
    rule("lstm", When::StepsFrom(200), -6, "it forgets over so many steps"),
    rule("cnn", When::Always, 10, "it is small and fast"),
    rule("cnn", When::DimensionsFrom(3), 3, "several dimensions tell classes apart without depth"),
];

/// How an entry is trained.
pub(super) struct Way {
    /// The entry; `""` is every entry that has no line of its own.
    pub(super) entry: &'static str,
    /// What tells two ways of one entry apart; empty for the usual one.
    pub(super) variant: &'static str,
    /// `[train]` besides what the volume says, as TOML.
    pub(super) settings: &'static str,
    /// When it is worth a pilot.
    pub(super) when: When,
}

const fn way(entry: &'static str, variant: &'static str, when: When, settings: &'static str) -> Way {
    Way { entry, variant, settings, when }
}

const ADAMW: &str = "optimizer = { kind = \"adamw\", weight_decay = 0.01 }\n";

/// How entries are trained: at most two ways of each.
pub(super) const WAYS: &[Way] = &[
    way("", "", When::Always, "learning_rate = 0.001\nschedule = { kind = \"cosine\" }"),
    way("boosting", "", When::Always, "[boosting]\nrounds = 500\nlearning_rate = 0.1"),
    way(
        "boosting",
        "few-leaves",
        When::RowsBelow(20_000),
        "[boosting]\nrounds = 1000\nlearning_rate = 0.05\nmax_leaves = 6\nmin_rows_per_leaf = 10\nrow_share = 0.8\n\
         column_share = 0.8\npatience = 80",
    ),
    way(
        "boosting",
        "many-leaves",
        When::RowsFrom(20_000),
        "[boosting]\nrounds = 1500\nlearning_rate = 0.05\nmax_leaves = 63\nrow_share = 0.8\ncolumn_share = 0.8",
    ),
    way("linear", "", When::Always, "learning_rate = 0.01\nschedule = { kind = \"cosine\" }"),
    way("mlp", "", When::Always, "learning_rate = 0.002\nschedule = { kind = \"cosine\" }"),
    way("mlp-large", "", When::Always, "learning_rate = 0.001\nschedule = { kind = \"cosine\" }"),
    way("residual-mlp", "", When::Always, "learning_rate = 0.002\nschedule = { kind = \"one_cycle\" }"),
    way("ft-transformer", "", When::Always, "learning_rate = 0.001\nschedule = { kind = \"one_cycle\" }"),
    way("worked-example", "", When::Always, "learning_rate = 0.002\nschedule = { kind = \"cosine\" }"),
    way("lenet5", "", When::Always, "learning_rate = 0.002\nschedule = { kind = \"cosine\" }"),
    way("small-cnn", "", When::Always, "learning_rate = 0.002\nschedule = { kind = \"cosine\" }"),
    way("resnet8", "", When::Always, "learning_rate = 0.003\nschedule = { kind = \"one_cycle\" }"),
    way("resnet14", "", When::Always, "learning_rate = 0.003\nschedule = { kind = \"one_cycle\" }"),
    way("vit-small", "", When::Always, "learning_rate = 0.001\nschedule = { kind = \"one_cycle\" }"),
    way("lstm", "", When::Always, "learning_rate = 0.003\nschedule = { kind = \"cosine\" }\nclip_norm = 1.0"),
    way("cnn", "", When::Always, "learning_rate = 0.002\nschedule = { kind = \"cosine\" }"),
];

/// Entries whose weights are pulled to zero a little, because tables are small and networks are not.
const DECAYED: [&str; 4] = ["mlp", "mlp-large", "residual-mlp", "ft-transformer"];

impl Way {
    /// `[train]` without epochs and batch size, as TOML.
    pub(super) fn toml(&self) -> String {
        let decay = if DECAYED.contains(&self.entry) { ADAMW } else { "" };
        format!("{decay}{}", self.settings)
    }
}

/// The ways of an entry on such data, the usual one first.
pub(super) fn ways(entry: &str, traits: &Traits) -> Vec<&'static Way> {
    let own = WAYS.iter().filter(|way| way.entry == entry && way.when.holds(traits)).collect::<Vec<_>>();
    if own.is_empty() { WAYS.iter().filter(|way| way.entry.is_empty()).collect() } else { own }
}

/// How long networks train where there is so much data.
pub(super) struct Volume {
    /// Sides of a row's input: 1 for a table's features, 2 for series, 3 for pictures.
    pub(super) rank: usize,
    /// With fewer rows than this.
    pub(super) rows: usize,
    /// Rows per step.
    pub(super) batch_size: usize,
    /// Passes over the training rows.
    pub(super) epochs: usize,
}

const fn volume(rank: usize, rows: usize, batch_size: usize, epochs: usize) -> Volume {
    Volume { rank, rows, batch_size, epochs }
}

/// By rank, then by rows: the first that fits. Steps are about rows / batch size * epochs: 500 to 10,000.
pub(super) const VOLUMES: &[Volume] = &[
    volume(1, 2_000, 32, 60),
    volume(1, 10_000, 64, 50),
    volume(1, 100_000, 256, 40),
    volume(1, usize::MAX, 1024, 20),
    volume(2, 200, 16, 100),
    volume(2, 1_000, 16, 80),
    volume(2, 10_000, 32, 40),
    volume(2, usize::MAX, 64, 20),
    volume(3, 500, 16, 60),
    volume(3, 5_000, 32, 30),
    volume(3, 20_000, 32, 15),
    volume(3, usize::MAX, 32, 6),
];

/// How long, for inputs of `rank` sides and so many rows; inputs of a rank that no line has take that of series.
pub(super) fn volume_of(rank: usize, rows: usize) -> &'static Volume {
    const USUAL: Volume = volume(2, usize::MAX, 32, 30);
    let of = |rank: usize| VOLUMES.iter().find(|volume| volume.rank == rank && rows < volume.rows);
    of(rank).or_else(|| of(2)).unwrap_or(&USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::tasks;
    use lepton_train::TrainSettings;

    fn traits(rows: usize) -> Traits {
        Traits { rows, inputs: 9, ..Traits::default() }
    }

    #[test]
    fn conditions_hold_where_they_should() {
        assert!(When::RowsBelow(10).holds(&traits(9)) && !When::RowsBelow(10).holds(&traits(10)));
        assert!(When::RowsFrom(10).holds(&traits(10)) && !When::RowsFrom(10).holds(&traits(9)));
        assert!(When::WiderThan(0.5).holds(&traits(17)) && !When::WiderThan(0.5).holds(&traits(18)));
        let picture = Traits { side: Some(32), channels: Some(3), ..traits(9) };
        assert!(When::SideBelow(33).holds(&picture) && !When::SideFrom(33).holds(&picture));
        assert!(When::Coloured.holds(&picture) && !When::Coloured.holds(&traits(9)));
        assert!(!When::SideBelow(33).holds(&traits(9)) && !When::SideFrom(1).holds(&traits(9)), "no pictures");
        let series = Traits { steps: Some(200), dimensions: Some(2), ..traits(9) };
        assert!(When::StepsFrom(200).holds(&series) && !When::DimensionsFrom(3).holds(&series));
    }

    #[test]
    fn every_line_names_an_entry_and_reads_as_settings() {
        let names: Vec<&str> = tasks().iter().flat_map(|task| task.zoo()).map(|entry| entry.name).collect();
        for rule in RULES {
            assert!(names.contains(&rule.entry), "no zoo has {}", rule.entry);
        }
        for way in WAYS {
            assert!(way.entry.is_empty() || names.contains(&way.entry), "no zoo has {}", way.entry);
            let settings: TrainSettings = toml::from_str(&way.toml()).unwrap();
            settings.validate().unwrap();
        }
        for name in names {
            let ways = ways(name, &traits(100));
            assert!((1..=2).contains(&ways.len()) && ways[0].variant.is_empty(), "{name}");
        }
    }

    #[test]
    fn more_rows_mean_fewer_passes_and_an_unknown_rank_has_some() {
        for rank in 1..=4 {
            let epochs: Vec<usize> = [100, 5_000, 50_000, 1_000_000].map(|rows| volume_of(rank, rows).epochs).to_vec();
            assert!(epochs.windows(2).all(|pair| pair[0] >= pair[1]), "{rank}: {epochs:?}");
        }
        assert_eq!(volume_of(7, 100).rank, 2);
    }
}
