"""Which engine can load which architecture, by the `model_type` of a configuration.

The lists are those of the library versions that `environments.REQUIREMENTS` bounds; a test compares them with the
installed libraries. Only architectures that generate text are listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# optimum-intel 2.2: TasksManager, task "text-generation-with-past", without encoder-decoder and speech models, and
# without those whose exporter is made for other versions of transformers than the environment's: gemma, deepseek, ….
OPENVINO = _words(
    """
    afmoe arcee biogpt bloom codegen cohere cohere2 falcon glm4 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_neox_japanese
    gpt_oss gptj granite granitemoe hunyuan_v1_dense llama mistral mixtral mpt olmo olmo2 opt persimmon phi phi3 phimoe
    qwen2 qwen2_moe qwen3 qwen3_moe smollm3 stablelm starcoder2 xglm
    """
)

# Exported too, but with a recurrent state beside or in place of keys and values, for which paged attention has no room.
RECURRENT = _words("falcon_mamba granitemoehybrid lfm2 lfm2_moe mamba qwen3_5_moe_text qwen3_5_text qwen3_next zamba2")

# transformers 5.5: MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, without encoders, encoder-decoders, models of images and sound.
TRANSFORMERS = _words(
    """
    afmoe apertus arcee bamba biogpt bitnet bloom blt code_llama codegen cohere cohere2 cpmant ctrl cwm dbrx deepseek_v2
    deepseek_v3 diffllama doge dots1 ernie4_5 ernie4_5_moe exaone4 exaone_moe falcon falcon_h1 falcon_mamba flex_olmo
    gemma gemma2 gemma3_text gemma3n_text gemma4_text glm glm4 glm4_moe glm4_moe_lite glm_moe_dsa gpt-sw3 gpt2
    gpt_bigcode gpt_neo gpt_neox gpt_neox_japanese gpt_oss gptj granite granitemoe granitemoehybrid granitemoeshared
    helium hunyuan_v1_dense hunyuan_v1_moe jais2 jamba jetmoe lfm2 lfm2_moe llama llama4_text longcat_flash mamba mamba2
    minimax minimax_m2 ministral ministral3 mistral mixtral modernbert-decoder mpt nanochat nemotron nemotron_h olmo
    olmo2 olmo3 olmo_hybrid olmoe openai-gpt opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_5_moe_text
    qwen3_5_text qwen3_moe qwen3_next recurrent_gemma rwkv seed_oss smollm3 solar_open stablelm starcoder2 vaultgemma
    xglm xlstm youtu zamba zamba2
    """
)

# transformers 5.5: MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES, those of text alone.
ENCODER_DECODER = _words(
    "bart bigbird_pegasus blenderbot blenderbot-small fsmt led longt5 m2m_100 marian mbart mt5 mvp nllb-moe pegasus "
    "pegasus_x plbart prophetnet switch_transformers t5 t5gemma umt5"
)

# Those whose tokens the tests compare with plain transformers', in 32 bits, on the engines that run them.
COMPARED_OPENVINO = _words(
    "bloom codegen cohere falcon gpt2 gpt_bigcode gpt_neox gptj granite llama mistral opt phi phi3 qwen2 qwen3 "
    "stablelm starcoder2"
)
COMPARED_TRANSFORMERS = _words("bloom gemma mamba mistral t5")

KNOWN = OPENVINO | RECURRENT | TRANSFORMERS | ENCODER_DECODER

GENERATIVE_SUFFIXES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ModelWithLMHead")


def engines_for(model_type: str, *, trust_remote_code: bool) -> tuple[str, ...]:
    """The engines that can load the architecture, best first; () when none can.

    Args:
        model_type: As the configuration spells it.
        trust_remote_code: The model's own code may run, so that transformers loads architectures that it does not know.

    >>> engines_for("llama", trust_remote_code=False)
    ('genai', 'transformers')
    >>> engines_for("t5", trust_remote_code=False)
    ('transformers',)
    >>> engines_for("chatglm", trust_remote_code=False)
    ()
    """
    native = is_native(model_type)
    genai = ("genai",) if model_type in OPENVINO and (native or trust_remote_code) else ()
    return (*genai, "transformers") if native or trust_remote_code else genai


def is_native(model_type: str) -> bool:
    """Whether transformers has the architecture itself, so that code in the model's folder is not needed."""
    return model_type in TRANSFORMERS or model_type in ENCODER_DECODER


def is_generative(config: Mapping[str, Any]) -> bool:
    """Whether the configuration's class has a head that generates text; True when it names no class."""
    classes = config.get("architectures") or []
    return not classes or any(str(name).endswith(GENERATIVE_SUFFIXES) for name in classes)
