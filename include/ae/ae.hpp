#pragma once

/// Everything: data in, a trained autoencoder out.
///
///   dataset.hpp  samples in host memory and the files they come from
///   layers.hpp   what models are made of
///   model.hpp    what a model is, its numbers, its file
///   train.hpp    losses, optimiser, the training
///   infer.hpp    what a trained model is used for
///   device.hpp   where all of it runs
///   error.hpp    what they throw

#include "ae/dataset.hpp"
#include "ae/device.hpp"
#include "ae/error.hpp"
#include "ae/infer.hpp"
#include "ae/layers.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"
#include "ae/version.hpp"
