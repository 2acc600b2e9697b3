"""The golden test set: taken once (`take`), looked at with a log (`evaluate`), two runs compared on it (`compare`)."""
