#pragma once

/// Everything: data in, a trained autoencoder out.
///
///   dataset.hpp  samples in host memory and the files they come from
///   layers.hpp   what models are made of (activation.hpp, shape.hpp)
///   model.hpp    what a model is, its numbers, its file
///   train.hpp    the training (loss.hpp, optimizer.hpp, schedule.hpp, noise.hpp, sparsity.hpp)
///   infer.hpp    what a trained model is used for
///   device.hpp   where all of it runs
///   error.hpp    what they throw
///   version.hpp  of headers and library
///   simt.hpp     a device that is a library of its own
///
/// Threads. The library keeps no state that its users see, so any functions may run at once in any
/// threads, trainings too, as long as nobody changes what another one uses: several threads may
/// encode with one const Model or read one const Dataset while others load, train and save other
/// models. train() changes its Model throughout, and a Model that is trained is nobody else's until
/// it returns. Callbacks are called in the thread that called the library. Each call has threads of
/// its own, see DeviceOptions::threads. Exceptions: setting environment variables (AE_ISA,
/// AE_DATA_DIR) meanwhile, and the emulated device, which serves one thread at a time.
///
/// Same bits. The same input gives the same bits with any number of threads, within an instruction
/// set of the CPU (AVX-512, AVX2, baseline; DeviceInfo::description says which) and a version of
/// oneDNN. Another instruction set sums in another order: its numbers are as good, and not the
/// same.

#include "ae/dataset.hpp"
#include "ae/device.hpp"
#include "ae/error.hpp"
#include "ae/infer.hpp"
#include "ae/layers.hpp"
#include "ae/model.hpp"
#include "ae/simt.hpp"
#include "ae/train.hpp"
#include "ae/version.hpp"
