"""The catalog of explainers."""

from ..datasets import Catalog
from .amortized import FastShapExplainer, NnExplainer
from .attention import AttentionRolloutExplainer, GradientRolloutExplainer
from .cam import (
    EigenCamExplainer,
    GradCamExplainer,
    GradCamPlusPlusExplainer,
    GuidedGradCamExplainer,
    HiResCamExplainer,
    LayerCamExplainer,
    ScoreCamExplainer,
)
from .controls import CentreGaussianControl, OracleControl, RandomControl, SobelControl, UniformControl
from .explainer import Explainer
from .gradient import (
    DeepLiftExplainer,
    ExpectedGradientsExplainer,
    FullGradExplainer,
    GradientShapExplainer,
    GuidedBackpropExplainer,
    InputXGradientExplainer,
    IntegratedGradientsExplainer,
    LrpExplainer,
    SaliencyExplainer,
    SmoothGradExplainer,
    VarGradExplainer,
)
from .nem import NemtExplainer, NemtPublishedExplainer, NemUExplainer
from .perturbation import (
    ExtremalPerturbationExplainer,
    KernelShapExplainer,
    LimeExplainer,
    MeaningfulPerturbationExplainer,
    OcclusionExplainer,
    RelaxExplainer,
    RiseExplainer,
    UncertainRelaxExplainer,
)

EXPLAINERS: Catalog[Explainer] = Catalog("explainer", entry_point_group="xaibench.explainers")

for _name, _explainer in {
    "random": RandomControl,
    "uniform": UniformControl,
    "centre_gaussian": CentreGaussianControl,
    "sobel": SobelControl,
    "oracle": OracleControl,
    "saliency": SaliencyExplainer,
    "input_x_gradient": InputXGradientExplainer,
    "integrated_gradients": IntegratedGradientsExplainer,
    "gradient_shap": GradientShapExplainer,
    "smoothgrad": SmoothGradExplainer,
    "vargrad": VarGradExplainer,
    "expected_gradients": ExpectedGradientsExplainer,
    "deep_lift": DeepLiftExplainer,
    "lrp": LrpExplainer,
    "fullgrad": FullGradExplainer,
    "guided_backprop": GuidedBackpropExplainer,
    "guided_gradcam": GuidedGradCamExplainer,
    "gradcam": GradCamExplainer,
    "gradcam_plus_plus": GradCamPlusPlusExplainer,
    "hirescam": HiResCamExplainer,
    "layercam": LayerCamExplainer,
    "scorecam": ScoreCamExplainer,
    "eigencam": EigenCamExplainer,
    "occlusion": OcclusionExplainer,
    "rise": RiseExplainer,
    "lime": LimeExplainer,
    "kernel_shap": KernelShapExplainer,
    "extremal_perturbation": ExtremalPerturbationExplainer,
    "meaningful_perturbation": MeaningfulPerturbationExplainer,
    "relax": RelaxExplainer,
    "u_relax": UncertainRelaxExplainer,
    "attention_rollout": AttentionRolloutExplainer,
    "gradient_rollout": GradientRolloutExplainer,
    "nn_explainer": NnExplainer,
    "fast_shap": FastShapExplainer,
    "nemt": NemtExplainer,
    "nemt_published": NemtPublishedExplainer,
    "nem_u": NemUExplainer,
}.items():
    EXPLAINERS.register(_name, _explainer)

CONTROLS = ("random", "uniform", "centre_gaussian", "sobel", "oracle")
