//! Losses of rows with weights against values that PyTorch made (`data/make_weighted_losses.py`).

#![allow(clippy::unwrap_used)]

use lepton_core::Tensor;
use lepton_nn::Loss;

#[test]
fn a_weighted_loss_is_the_weighted_mean_of_what_each_row_loses() {
    let outputs = Tensor::float32([2, 3], vec![0.3, -1.2, 2.5, 0.9, -0.4, 1.7]).unwrap();
    let classes = Tensor::int64([2], vec![2, 0]).unwrap();
    let numbers = Tensor::float32([2, 3], vec![0.1, 0.7, 0.2, 1.0, 0.0, 0.5]).unwrap();
    let cases: Vec<(Loss, [f64; 2], f64)> = serde_json::from_str(include_str!("data/weighted_losses.json")).unwrap();
    assert_eq!(cases.len(), 6);
    for (loss, each, value) in cases {
        let targets = if loss.takes_logits() && loss != Loss::BinaryCrossEntropy { &classes } else { &numbers };
        for (row, wanted) in each.into_iter().enumerate() {
            let alone = [0, 1].map(|place| f32::from(u8::from(place == row)));
            let ours = loss.weighted_value(&outputs, targets, &alone).unwrap();
            assert!((ours - wanted).abs() < 1e-6, "{loss:?} row {row}: {ours}, the reference has {wanted}");
        }
        let ours = loss.weighted_value(&outputs, targets, &[0.5, 2.0]).unwrap();
        assert!((ours - value).abs() < 1e-6, "{loss:?}: {ours}, the reference has {value}");
        let (plain, equal) = (loss.value(&outputs, targets), loss.weighted_value(&outputs, targets, &[3.0; 2]));
        assert!((plain.unwrap() - equal.unwrap()).abs() < 1e-9, "{loss:?}");
        assert_eq!(loss.weighted_value(&outputs, targets, &[0.0; 2]).unwrap(), 0.0, "{loss:?}");
        assert!(loss.weighted_value(&outputs, targets, &[1.0]).is_err());
        assert!(loss.weighted_value(&outputs, targets, &[1.0, -1.0]).is_err());
    }
}
