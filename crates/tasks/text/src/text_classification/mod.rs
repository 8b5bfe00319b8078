//! One label per text: the schema it needs, its recipe, networks and figures.

mod zoo;

use lepton_core::{Column, ColumnKind, Error, ErrorCode, Figure, Result, Schema, TaskKind};
use lepton_data::AugmentSettings;
use lepton_nn::Architecture;
use lepton_recipe::{Codes, RecipePlan, TargetPlan, TokensPlan};
use lepton_train::{
    Classified, EvaluationInput, RecipeSettings, Task, ZooEntry, calibration, class_table, confusion_matrix,
};

/// Text classification: one column of texts in, one of the target column's classes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextClassification;

impl Task for TextClassification {
    fn kind(&self) -> TaskKind {
        TaskKind::TextClassification
    }

    fn check(&self, schema: &Schema, target: &str) -> Result<()> {
        text_column(schema, target).map(drop)
    }

    /// Texts become the codes of their lower-cased words, in rows that 98 % of the training texts fit into.
    fn recipe(&self, schema: &Schema, target: &str, settings: &RecipeSettings) -> Result<RecipePlan> {
        Ok(RecipePlan {
            steps: vec![settings.tokens_step(&text_column(schema, target)?.name)?],
            target: Some(TargetPlan::Classes { column: target.to_owned() }),
        })
    }

    /// None: which words may go depends on what is asked.
    fn default_augment(&self) -> AugmentSettings {
        AugmentSettings::default()
    }

    fn zoo(&self) -> &'static [ZooEntry] {
        zoo::ENTRIES
    }

    /// A network before the texts are known, for its summary: as if the vocabulary were full.
    fn architecture(&self, name: Option<&str>, input_shape: &[usize], classes: usize) -> Result<Architecture> {
        let &[length] = input_shape else {
            let message = format!("a text has [length], these rows have {input_shape:?}");
            return Err(Error::new(ErrorCode::Shape, message));
        };
        let vocabulary = TokensPlan::new("text").vocabulary;
        self.architecture_over_codes(name, Codes { length, vocabulary, padding: 0 }, classes)
    }

    fn architecture_over_codes(&self, name: Option<&str>, codes: Codes, classes: usize) -> Result<Architecture> {
        zoo::architecture(name, codes, classes)
    }

    fn figures(&self, input: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
        let classified = Classified::from_logits(input.outputs, input.targets)?;
        let labels = input.target.labels();
        if classified.classes() != labels.len() {
            let message = format!("{} classes were evaluated, there are {}", classified.classes(), labels.len());
            return Err(Error::internal(message));
        }
        Ok(vec![confusion_matrix(&classified, labels), class_table(&classified, labels), calibration(&classified)])
    }
}

/// The one column of texts of a schema whose target is a category.
fn text_column<'a>(schema: &'a Schema, target: &str) -> Result<&'a Column> {
    let classes = schema.column(target)?;
    if !matches!(classes.kind, ColumnKind::Category | ColumnKind::Text) {
        return Err(Error::new(ErrorCode::BadData, "the target of text classification is a class")
            .at_column(target)
            .fix("name the column of the labels as collect.target"));
    }
    let mut inputs = schema.columns.iter().filter(|column| column.name != target);
    let Some(found) = inputs.clone().find(|column| column.kind == ColumnKind::Text) else {
        let message = "text classification needs a column of texts, the data has none";
        let error = Error::new(ErrorCode::BadData, message);
        return Err(match inputs.find(|column| column.kind == ColumnKind::Category) {
            Some(near) => error.at_column(&near.name).fix(format!(
                "\"{0}\" looks like categories: if it holds texts, set collect.columns = {{ {0} = \"text\" }}",
                near.name
            )),
            None => error.fix("use task = \"tabular-classification\" for tables of numbers and categories"),
        });
    };
    match inputs.find(|column| column.name != found.name) {
        Some(other) => Err(Error::new(ErrorCode::BadData, "text classification takes one column of texts alone")
            .at_column(&other.name)
            .fix("list the columns that should not be used in collect.ignore")),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_recipe::{NumberNormalize, StepPlan, TokenizerPlan};
    use lepton_train::{Learner, TrainSettings, learner_over_codes};
    use std::path::PathBuf;

    fn schema(columns: &[(&str, ColumnKind)]) -> Schema {
        let column = |&(name, kind): &(&str, ColumnKind)| Column { name: name.to_owned(), kind, nullable: false };
        Schema { columns: columns.iter().map(column).collect() }
    }

    #[test]
    fn a_dataset_needs_one_column_of_texts_and_classes() {
        use ColumnKind::{Category, Number, Text};
        let check = |columns: &[(&str, ColumnKind)]| TextClassification.check(&schema(columns), "y");
        assert!(check(&[("x", Text), ("y", Category)]).is_ok());
        assert!(check(&[("x", Text), ("y", Text)]).is_ok());
        let place = |columns: &[(&str, ColumnKind)]| check(columns).unwrap_err().place().column.clone();
        assert_eq!(place(&[("x", Text), ("z", Text), ("y", Category)]), Some("z".to_owned()));
        assert_eq!(place(&[("z", Number), ("x", Text), ("y", Category)]), Some("z".to_owned()));
        assert_eq!(place(&[("x", Text), ("y", Number)]), Some("y".to_owned()));
        assert_eq!(place(&[("x", Number), ("y", Category)]), None);
        let looks_like = check(&[("x", Category), ("y", Category)]).unwrap_err();
        assert!(looks_like.remedy().is_some_and(|fix| fix.contains("collect.columns = { x = \"text\" }")));
    }

    #[test]
    fn the_recipe_follows_the_settings() {
        let schema = schema(&[("x", ColumnKind::Text), ("y", ColumnKind::Category)]);
        let plan_of = |settings: &RecipeSettings| TextClassification.recipe(&schema, "y", settings);
        let plan = plan_of(&RecipeSettings::default()).unwrap();
        assert_eq!(plan.steps, [StepPlan::Tokens(TokensPlan::new("x"))]);
        let settings = RecipeSettings {
            tokenizer: Some("wordpiece".to_owned()),
            vocabulary: Some(500),
            max_length: Some(20),
            lowercase: Some(false),
            min_count: Some(3),
            ..RecipeSettings::default()
        };
        let StepPlan::Tokens(step) = &plan_of(&settings).unwrap().steps[0] else { panic!("not a step of codes") };
        assert_eq!(
            (&step.tokenizer, step.vocabulary, step.max_length, step.lowercase, step.min_count),
            (&TokenizerPlan::WordPiece, 500, 20, false, 3)
        );
        let of =
            |tokenizer: &str| RecipeSettings { tokenizer: Some(tokenizer.to_owned()), ..RecipeSettings::default() };
        let StepPlan::Tokens(step) = &plan_of(&of("minilm/tokenizer.json")).unwrap().steps[0] else { panic!("none") };
        assert_eq!(step.tokenizer, TokenizerPlan::File(PathBuf::from("minilm/tokenizer.json")));
        assert_eq!(plan_of(&of("wordpeice")).unwrap_err().remedy(), Some("did you mean \"wordpiece\"?"));
        let key = |settings: RecipeSettings| plan_of(&settings).unwrap_err().place().key.clone();
        assert_eq!(key(of("unigram")).as_deref(), Some("recipe.tokenizer"));
        assert_eq!(key(RecipeSettings { vocabulary: Some(9), ..of("./here") }).as_deref(), Some("recipe.vocabulary"));
        let table = RecipeSettings { numbers: Some(NumberNormalize::Robust), ..RecipeSettings::default() };
        assert_eq!(key(table).as_deref(), Some("recipe.numbers"));
        let none = RecipeSettings { max_length: Some(0), ..RecipeSettings::default() };
        assert_eq!(key(none).as_deref(), Some("recipe.max_length"));
    }

    #[test]
    fn a_persons_own_layers_take_the_codes() {
        let codes = Codes { length: 7, vocabulary: 40, padding: 0 };
        let learner = |vocabulary: usize| {
            let layers = format!(
                r#"[{{ "kind": "embedding", "vocabulary": {vocabulary}, "dimensions": 4, "padding": 0 }},
                    {{ "kind": "global_avg_pool" }}, {{ "kind": "linear", "units": 2 }}]"#
            );
            let settings =
                TrainSettings { layers: Some(serde_json::from_str(&layers).unwrap()), ..TrainSettings::default() };
            learner_over_codes(&TextClassification, &settings, codes, 2)
        };
        assert!(matches!(learner(40).unwrap(), Learner::Network(network) if network.input.shape == [7]));
        assert!(matches!(learner(50).unwrap(), Learner::Network(_)));
        let few = learner(39).err().unwrap();
        assert_eq!((few.code(), few.place().key.as_deref()), (ErrorCode::Config, Some("train.layers")));
    }
}
