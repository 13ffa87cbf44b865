#pragma once

#include <variant>

#include "activation/activation_backward.hpp"
#include "activation/prelu.hpp"
#include "batch/corrupt.hpp"
#include "batch/gather.hpp"
#include "code/gaussian.hpp"
#include "code/keep_largest.hpp"
#include "code/sparsity.hpp"
#include "convolution/convolution.hpp"
#include "dense/dense.hpp"
#include "dense/transpose.hpp"
#include "dropout/dropout.hpp"
#include "loss/reconstruction_loss.hpp"
#include "loss/row_losses.hpp"
#include "loss/softmax_loss.hpp"
#include "norm/batch_norm.hpp"
#include "norm/layer_norm.hpp"
#include "optimizer/clip_scale.hpp"
#include "optimizer/optimizer_step.hpp"
#include "pool/max_pool.hpp"
#include "pool/upsample.hpp"

namespace ae {

/// Every operation that a device can do. Each is a struct of attributes and operands, described in
/// its own header; its kernels stand beside that.
using Op = std::variant<GatherBatch, GatherRows, CorruptBatch, DenseForward, DenseBackward,
                        Transpose, ConvolutionForward, ConvolutionBackward, MaxPoolForward,
                        MaxPoolBackward, UpsampleForward, UpsampleBackward, ActivationBackward,
                        LayerNormForward, LayerNormBackward, BatchNormForward, BatchNormBackward,
                        DropoutForward, DropoutBackward, KeepLargest, SparsityBackward,
                        GaussianSample, GaussianBackward, ReconstructionLoss, RowLosses, ClipScale,
                        OptimizerStep, PreluForward, PreluBackward, SoftmaxLoss, SoftmaxRowLosses>;

}  // namespace ae
