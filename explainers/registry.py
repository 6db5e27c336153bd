"""The catalog of explainers."""

from ..datasets import Catalog
from .cam import GradCamExplainer
from .controls import CentreGaussianControl, OracleControl, RandomControl, SobelControl, UniformControl
from .explainer import Explainer
from .gradient import (
    GradientShapExplainer,
    InputXGradientExplainer,
    IntegratedGradientsExplainer,
    SaliencyExplainer,
)
from .nem import NemtExplainer
from .perturbation import OcclusionExplainer, RelaxExplainer, RiseExplainer, UncertainRelaxExplainer

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
    "gradcam": GradCamExplainer,
    "occlusion": OcclusionExplainer,
    "rise": RiseExplainer,
    "relax": RelaxExplainer,
    "u_relax": UncertainRelaxExplainer,
    "nemt": NemtExplainer,
}.items():
    EXPLAINERS.register(_name, _explainer)

CONTROLS = ("random", "uniform", "centre_gaussian", "sobel", "oracle")
