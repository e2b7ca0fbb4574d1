from histobridge.strategies.basic import adapt, tutor

__all__ = ["adapt", "tutor"]
